/** What is said of one way in which the admin door says no. */
export interface AdminProblemRow {
  readonly status: number
  readonly title: string
  /** What to do about it, where the answer has nothing more exact to say. */
  readonly remedy: string
}

/** Every way in which the admin door says no. Codes are stable and never reused. */
export const adminProblems = {
  'operator-unknown': {
    status: 401,
    title: 'The operator is not known',
    remedy: 'Show the key or token of an operator, as "Authorization: Bearer KEY".',
  },
  'operator-unverifiable': {
    status: 503,
    title: 'The proof cannot be verified now',
    remedy:
      'Whoever vouches for it, an issuer or a cluster, does not answer, so that it proves nobody; the log has the reason. Retry, or show a key of an operator.',
  },
  'operators-missing': {
    status: 401,
    title: 'The settings name no operator',
    remedy:
      'Name operators and their proofs in "admin.operators", or have "admin.listen" be a unix: socket: there the user of Sallyport is an admin.',
  },
  'operator-throttled': {
    status: 429,
    title: 'Too many wrong proofs',
    remedy: 'Wait, then show the right one. Right ones are served all the time.',
  },
  'role-insufficient': {
    status: 403,
    title: 'The role of the operator does not reach this far',
    remedy: 'Roles are viewer, granter and admin; "admin.operators" gives them.',
  },
  'host-misdirected': {
    status: 421,
    title: 'Host is not a name of this door',
    remedy: 'Use the address that the settings give this door, or localhost.',
  },
  'cross-site': {
    status: 403,
    title: 'A browser sent this for a page of another origin',
    remedy: 'Nothing here is for web pages of other origins.',
  },
  'not-found': {
    status: 404,
    title: 'There is no such thing',
    remedy: 'GET /openapi.json lists what there is.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'The method is not for this path',
    remedy: 'The field Allow lists those that are.',
  },
  'body-malformed': {
    status: 400,
    title: 'The body cannot be read',
    remedy: 'Use JSON in UTF-8.',
  },
  'body-too-large': {
    status: 413,
    title: 'The body is too large',
    remedy: 'Use 1 MiB at most.',
  },
  'content-type-unsupported': {
    status: 415,
    title: 'The body is not said to be JSON',
    remedy: 'Send "Content-Type: application/json", without a Content-Encoding.',
  },
  'input-invalid': {
    status: 422,
    title: 'Something in the request is not right',
    remedy: 'Each of "errors" says where, and the form to use.',
  },
  'name-taken': {
    status: 409,
    title: 'The name is in use',
    remedy: 'Use another name.',
  },
  'caller-declared': {
    status: 409,
    title: 'The caller stands in the settings file',
    remedy: 'Change the settings file: what stands there cannot be changed here.',
  },
  'grant-declared': {
    status: 409,
    title: 'The grant stands in the settings file',
    remedy: 'Take it out of "grants" in the settings file: what stands there cannot be revoked here.',
  },
  'switch-declared': {
    status: 409,
    title: 'The settings file switches the connection off',
    remedy: 'Take "disabled: true" out of the settings file.',
  },
  'store-missing': {
    status: 409,
    title: 'There is no store',
    remedy: 'Add "store: { kind: sqlite, path: FILE }" to the settings: without one there is nowhere to keep this.',
  },
  'audit-elsewhere': {
    status: 409,
    title: 'The store does not keep the audit',
    remedy:
      'Add "{ kind: store }" to audit.sinks and restart. What has happened until then is where the other sinks have put it: a file, standard output, a collector.',
  },
  'store-lost': {
    status: 503,
    title: 'The store does not answer',
    remedy: 'Look whether it was done once the database is back; doing it again does no harm.',
  },
  'audit-full': {
    status: 503,
    title: 'The change could not be recorded',
    remedy:
      'The audit can take no more, and nothing is changed unrecorded. It goes on by itself once there is room; the log names the sink.',
  },
  'sealing-key-missing': {
    status: 409,
    title: 'The store has no key to seal secrets with',
    remedy: 'Add "key" to "store" in the settings.',
  },
  'secret-in-use': {
    status: 409,
    title: 'The settings file names the secret',
    remedy: 'Take it out of the settings file first: a sidecar does not start without a secret that its settings name.',
  },
  'login-not-offered': {
    status: 409,
    title: 'Nobody logs in for this connection',
    remedy: 'Only a connection whose credential is of kind authorization-code takes logins.',
  },
  'login-failed': {
    status: 409,
    title: 'The login did not succeed',
    remedy: 'Begin anew; what was wrong is in the log of the issuer.',
  },
  'too-many-tails': {
    status: 429,
    title: 'Too many follow the audit already',
    remedy: 'End one of them first.',
  },
  'internal-error': {
    status: 500,
    title: 'Something went wrong that nobody foresaw',
    remedy: 'The log has the rest, under the id of "instance".',
  },
} as const satisfies Record<string, AdminProblemRow>

/** Stable names for programs. */
export type AdminProblemCode = keyof typeof adminProblems
