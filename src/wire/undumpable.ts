/** <sys/prctl.h> */
const PR_SET_DUMPABLE = 4

/**
 * Keeps other processes of the same uid from reading our memory and environment, through /proc or a debugger, and keeps
 * core dumps from being written. To be called before the first secret is read. False: this platform cannot do it.
 * @see prctl(2), ptrace(2)
 */
export function makeUndumpable(): boolean {
  const ffi = process.getBuiltinModule('node:ffi')
  if (!ffi || process.platform !== 'linux') return false
  try {
    const { functions } = ffi.dlopen(null, {
      prctl: { return: 'int32', arguments: ['int32', 'uint64', 'uint64', 'uint64', 'uint64'] },
    })
    const result: unknown = functions.prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n)
    return result === 0
  } catch {
    return false
  }
}
