import pino from 'pino'

/** The fields a log line may have. Whatever is not here is not logged, so a secret has no field to slip into. */
export interface LogFields {
  readonly id?: string
  readonly door?: string
  readonly caller?: string
  readonly connection?: string
  readonly code?: string
  readonly reason?: string
  readonly address?: string
  readonly file?: string
  readonly settingsDigest?: string
  readonly sink?: string
  readonly status?: number
  readonly waitMs?: number
  readonly signal?: string
  readonly error?: string
}

/** What is said to the operator, on standard error, as JSON lines. */
export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** A synchronous logger: few lines, and the last one before a crash is the one that matters. */
export function createLogger(level: LogLevel): Logger {
  const formatters = { level: (label: string) => ({ level: label }) }
  const destination = pino.destination({ dest: 2, sync: true })
  // A log that cannot be written, on a full disk or a closed pipe, must not end the process that it is about.
  destination.on('error', () => undefined)
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters }, destination)
}

/** What Node adds to a chain that it cannot verify [26.10]: whom upstreams are believed by is in the settings, and not there. */
const ADVICE = /; if the root CA is installed locally, try running Node\.js with --use-system-ca/

/**
 * An error and its causes in words, for a log line: names, codes and messages of our own and of Node. Messages of other
 * parties never become messages of ours, so there are none in here.
 */
export function describe(error: unknown): string {
  const parts: string[] = []
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const code = 'code' in at && typeof at.code === 'string' && !at.message.includes(at.code) ? ` [${at.code}]` : ''
    parts.push(`${at.message.replace(ADVICE, '')}${code}`)
  }
  return parts.length > 0 ? parts.join('; because ') : String(error)
}
