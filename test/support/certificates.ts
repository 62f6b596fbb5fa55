/** Tests and playground make their certificates alike. */
export { type Authority, type Identity, makeAuthority, makeSelfSigned } from '../../src/playground/certificates.ts'
