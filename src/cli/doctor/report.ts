import type { Finding } from './finding.ts'

/** Exit codes end at 255, and from 126 on they mean something to shells. */
const MOST = 125

/** How many findings are failures, as an exit code. */
export function exitCodeOf(findings: readonly Finding[]): number {
  return Math.min(MOST, count(findings, 'failed'))
}

/** For programs: every finding, and the number of failures. */
export function inJson(findings: readonly Finding[]): string {
  return `${JSON.stringify({ findings, failed: count(findings, 'failed') }, undefined, 2)}\n`
}

/** For people: a line for each finding, by check, with what to do below it. */
export function inWords(findings: readonly Finding[]): string {
  const checks = [...new Set(findings.map(({ check }) => check))]
  const groups = checks.map((check) => groupOf(check, findings))
  return `${groups.join('\n')}\n${summaryOf(findings)}\n`
}

function groupOf(check: string, findings: readonly Finding[]): string {
  const lines = findings.filter((finding) => finding.check === check).flatMap(linesOf)
  return [check, ...lines].map((line) => `${line}\n`).join('')
}

function linesOf({ state, subject, says, remedy }: Finding): string[] {
  const line = `  ${state.padEnd(7)}  ${subject}: ${says}`
  return remedy === undefined ? [line] : [line, `             ${remedy}`]
}

const STATES = ['failed', 'warning', 'skipped', 'ok'] as const

function summaryOf(findings: readonly Finding[]): string {
  return STATES.map((state) => `${count(findings, state)} ${state}`).join(', ')
}

function count(findings: readonly Finding[], state: Finding['state']): number {
  return findings.filter((finding) => finding.state === state).length
}
