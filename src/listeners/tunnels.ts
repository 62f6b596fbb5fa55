import type { Socket } from 'node:net'
import type { Problem } from '../core/problem.ts'
import type { AskedPassage } from '../gate/admit.ts'
import { exchangeConnect, type Knock } from '../gate/connect.ts'
import type { DoorTools } from './door.ts'
import type { Intake } from './intake.ts'
import { Interception, type Opening } from './intercept.ts'

/** Somebody who wants a tunnel, and how the door tells them yes and no. */
export interface TunnelWish {
  readonly socket: Socket
  /** What came with the wish, and belongs to the tunnel. */
  readonly head: Buffer
  /** Says that every byte from now on belongs to the tunnel. */
  accept(): void
  /** Answers with a refusal and closes. Returns the status, undefined when it was too late, or when none is told. */
  refuse(problem: Problem, id: string): number | undefined
}

interface Tools extends DoorTools {
  /** All connections of the door. */
  readonly sockets: Set<Socket>
}

/** The tunnels of one door: taken to the gate, and opened or passed on as it says. */
export class Tunnels {
  readonly #intake: Intake
  readonly #interception: Interception

  constructor(intake: Intake, tools: Tools) {
    this.#intake = intake
    this.#interception = new Interception(tools)
  }

  /** Names in the record what comes through tunnels. */
  set label(label: string) {
    this.#interception.label = label
  }

  get isIdle(): boolean {
    return this.#interception.isIdle
  }

  /** From the first call on, every answer in a tunnel is the last of its connection. */
  closeIdle(): void {
    this.#interception.closeIdle()
  }

  take(asked: AskedPassage, wish: TunnelWish): void {
    const { socket, head } = wish
    let isAccepted = false
    // Shutdown waits for the answer, and not for what goes through the tunnel.
    const { promise: answered, resolve } = Promise.withResolvers<void>()
    const accept = () => {
      isAccepted = true
      wish.accept()
      resolve()
    }
    const knock: Knock = {
      socket,
      head,
      accept,
      refuse: (problem, id) => (isAccepted ? drop(socket) : wish.refuse(problem, id)),
      open: (passage: Opening['passage']) => {
        accept()
        return this.#interception.open({ passage, socket, head, evidence: asked.evidence })
      },
    }
    this.#intake.count(Promise.race([exchangeConnect(asked, knock, this.#intake.gate), answered]))
  }
}

/** Once accepted, there is nobody left who would read an answer. */
function drop(socket: Socket): undefined {
  socket.destroy()
}
