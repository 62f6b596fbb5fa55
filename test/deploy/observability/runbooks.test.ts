import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { program } from '../../../src/cli/program.ts'
import { problems } from '../../../src/core/problems.ts'
import { alerts, RUNBOOKS } from './rules.ts'

const files = readdirSync(RUNBOOKS).filter((file) => file.startsWith('Sallyport'))
const books = files.map((file) => ({ file, text: readFileSync(join(RUNBOOKS, file), 'utf8') }))

test('every alert has a runbook, and every runbook an alert', () => {
  expect(files.toSorted()).toEqual([...new Set(alerts.map(({ alert }) => `${alert}.md`))].toSorted())
})

const commands = books.flatMap(({ file, text }) => commandsIn(text).map((line) => [file, line] as const))

test.each(commands)('%s: %s is a command line of ours', (_file, line) => {
  expect(faultOf(wordsOf(line))).toBeUndefined()
})

test('what is no command line of ours is found', () => {
  expect(commands.length).toBeGreaterThan(40)
  expect(faultOf(wordsOf('sallyport audit seek --since 1h'))).toBe('no verb audit seek')
  expect(faultOf(wordsOf('sallyport doctor --deep'))).toBe('doctor has no --deep')
  expect(faultOf(wordsOf('sallyport connection show'))).toBe('connection show takes 1 to 1 arguments')
})

test.each(books)('$file is a page: what it means, what to look at, what mends it, whom to call', ({ file, text }) => {
  expect(text.startsWith(`# ${file.replace('.md', '')}\n`)).toBe(true)
  expect(text.match(/^## .*$/gm)).toEqual([
    '## First look',
    '## Causes, the likely ones first',
    '## It is over when',
    '## Escalate',
  ])
  expect(text.split('\n').length).toBeLessThanOrEqual(45)
  const links = [...text.matchAll(/\]\(([\w-]+\.md)\)/g)].map(([, target]) => target)
  for (const target of links) expect(readdirSync(RUNBOOKS)).toContain(target)
})

test('codes that they name are codes that there are', () => {
  const named = books.flatMap(({ text }) => [...text.matchAll(/--code ([a-z-]+)/g)].map(([, code]) => code))
  expect(named.length).toBeGreaterThan(5)
  for (const code of named) expect(Object.keys(problems)).toContain(code)
})

/** In blocks, and in the text; what stands for a name there is a word, too. */
function commandsIn(text: string): readonly string[] {
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) => block.split('\n'))
  const inline = [...text.matchAll(/`(sallyport [^`]+)`/g)].map(([, line = '']) => line)
  return [...blocks, ...inline].filter((line) => line.startsWith('sallyport '))
}

function wordsOf(line: string): readonly string[] {
  return (
    line
      .split(/ +(?:#|\||<).*$/)[0]
      ?.split(' ')
      .slice(1) ?? []
  )
}

/** Against the very program, which is not run: it would ask a sidecar. */
function faultOf(words: readonly string[]): string | undefined {
  let command: Command = program
  let rest = [...words]
  for (let next = find(command, rest[0]); next; next = find(command, rest[0])) {
    command = next
    rest = rest.slice(1)
  }
  const path = words.slice(0, words.length - rest.length).join(' ')
  if (command.commands.length > 0) return `no verb ${words.join(' ').split(' -')[0] ?? ''}`
  const given: string[] = []
  while (rest.length > 0) {
    const [word = ''] = rest.splice(0, 1)
    if (!word.startsWith('--')) given.push(word)
    else {
      const option = command.options.find(({ long }) => long === word)
      if (!option) return `${path} has no ${word}`
      if (option.required) rest.splice(0, 1)
    }
  }
  const least = command.registeredArguments.filter(({ required }) => required).length
  const most = command.registeredArguments.length
  return given.length < least || given.length > most ? `${path} takes ${least} to ${most} arguments` : undefined
}

function find(command: Command, word: string | undefined): Command | undefined {
  return command.commands.find((one) => one.name() === word)
}
