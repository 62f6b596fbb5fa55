import type { FunctionDefinitions, WrappedFunctionsFromDefinitions } from 'node:ffi'
import type { Socket } from 'node:net'

/**
 * Functions of the C library that Node has no name for. node:ffi is experimental: whoever uses one tries it out first, because
 * a misread signature would answer nonsense without a word.
 * @throws what `unable` makes of what is missing
 */
export function openLibc<S extends FunctionDefinitions>(
  signatures: S,
  unable: (need: string, cause?: unknown) => Error,
): WrappedFunctionsFromDefinitions<S> {
  const ffi = process.getBuiltinModule('node:ffi')
  if (!ffi || process.platform !== 'linux') throw unable('Linux, and a Node with node:ffi')
  try {
    return ffi.dlopen(null, signatures).functions
  } catch (cause) {
    throw unable('node:ffi; under --permission start Node with --allow-ffi', cause)
  }
}

/** The file descriptor of a socket; undefined once it is closed. */
export function descriptorOf(socket: Socket): number | undefined {
  // Node has no public name for it.
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null }
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined
}
