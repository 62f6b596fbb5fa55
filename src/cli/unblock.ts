import { constants } from 'node:os'

/** <bits/sigaction.h>, as on x86-64 and arm64. */
const SIG_UNBLOCK = 1
/** sigset_t of glibc and musl: one bit a signal, from the lowest. */
const SET_BYTES = 128

/**
 * Lets a signal through that this process was started with blocked: `--disable-sigusr1`, which keeps SIGUSR1 from opening
 * an inspector, leaves it pending for ever, whoever listens. Where this cannot be done, it stays so.
 */
export function unblock(signal: NodeJS.Signals): void {
  const ffi = process.getBuiltinModule('node:ffi')
  if (!ffi || process.platform !== 'linux') return
  const set = Buffer.alloc(SET_BYTES)
  const bit = constants.signals[signal] - 1
  set[bit >> 3] = 1 << (bit & 7)
  try {
    const { functions } = ffi.dlopen(null, {
      sigprocmask: { return: 'int32', arguments: ['int32', 'pointer', 'pointer'] },
    })
    functions.sigprocmask(SIG_UNBLOCK, set, 0n)
  } catch {
    // Without node:ffi, as under --permission.
  }
}
