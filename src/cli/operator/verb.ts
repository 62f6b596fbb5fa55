import { EXIT } from '../exit-codes.ts'
import { orSettingsExit } from '../failing.ts'
import { Refused } from './client.ts'
import { type DoorOptions, findDoor, type OperatorDoor } from './door.ts'
import { jsonOf } from './output.ts'

/** What every verb that speaks to a running sidecar takes. */
export interface VerbOptions extends DoorOptions {
  readonly json?: true | undefined
}

/** What a verb has to say: for programs, and for people. */
export interface Said {
  readonly json: unknown
  readonly words: string
  /** For people at the terminal, beside what they may have piped away. */
  readonly note?: string | undefined
  /** 0 without it. */
  readonly exitCode?: number
}

/** Asks the running sidecar, and says what it answers. A refusal is told in its words, and is exit 1. */
export async function viaDoor(options: VerbOptions, verb: (door: OperatorDoor) => Promise<Said>): Promise<void> {
  await orSettingsExit(async () => {
    try {
      say(await verb(await findDoor(options)), options)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      process.stderr.write(`${error.message}\n`)
      process.exitCode = EXIT.refused
    }
  })
}

function say({ json, words, note, exitCode = 0 }: Said, options: VerbOptions): void {
  process.stdout.write(options.json ? jsonOf(json) : words)
  if (note !== undefined && !options.json) process.stderr.write(`${note}\n`)
  process.exitCode = exitCode
}
