import { describe, expect, test } from 'vitest'
import { readTraceparent, readTracestate, traceparentOf } from '../../src/wire/trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

/** After the W3C's own suite, test/test.py of trace-context, and the sections of the Recommendation. */
describe('traceparent', () => {
  test.each([
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, false],
    // Flags that are not of this version say nothing.
    [`00-${TRACE}-${SPAN}-ff`, true],
    [`00-${TRACE}-${SPAN}-02`, false],
    // A later version may be longer, behind one more "-".
    [`cc-${TRACE}-${SPAN}-01`, true],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, true],
    [`cc-${TRACE}-${SPAN}-01-`, true],
    [` 00-${TRACE}-${SPAN}-01\t`, true],
  ])('%s is read', (value, isSampled) => {
    expect(readTraceparent(['TraceParent', value])).toEqual({ traceId: TRACE, spanId: SPAN, isSampled })
  })

  test.each([
    ['nothing', ''],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['a version of one digit', `0-${TRACE}-${SPAN}-01`],
    ['a version of three digits', `000-${TRACE}-${SPAN}-01`],
    ['a version that is no number', `.0-${TRACE}-${SPAN}-01`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['upper case in the span', `00-${TRACE}-${SPAN.toUpperCase()}-01`],
    ['upper case in the flags', `00-${TRACE}-${SPAN}-0A`],
    ['a trace too short', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['a trace too long', `00-${TRACE}0-${SPAN}-01`],
    ['a span too short', `00-${TRACE}-${SPAN.slice(1)}-01`],
    ['a span too long', `00-${TRACE}-${SPAN}0-01`],
    ['flags too short', `00-${TRACE}-${SPAN}-1`],
    ['flags too long', `00-${TRACE}-${SPAN}-001`],
    ['no flags', `00-${TRACE}-${SPAN}`],
    ['more, in a version that has no more', `00-${TRACE}-${SPAN}-01-more`],
    ['an empty part more, in a version that has none', `00-${TRACE}-${SPAN}-01-`],
    ['more without a dash, in a later version', `cc-${TRACE}-${SPAN}-01.more`],
    ['other dashes', `00_${TRACE}_${SPAN}_01`],
    ['a line feed in it', `00-${TRACE}-${SPAN}-01\n`.replace('-01', '\n-01')],
    ['two in one field', `00-${TRACE}-${SPAN}-01,00-${TRACE}-${SPAN}-01`],
  ])('%s is none', (_what, value) => {
    expect(readTraceparent(['traceparent', value])).toBeUndefined()
  })

  test('two fields are none, even where they say the same', () => {
    const one = ['traceparent', `00-${TRACE}-${SPAN}-01`]
    expect(readTraceparent([...one, ...one])).toBeUndefined()
  })

  test('a name that is not its own is none', () => {
    for (const name of ['trace-parent', 'trace_parent', 'trace.parent', 'traceparents'])
      expect(readTraceparent([name, `00-${TRACE}-${SPAN}-01`])).toBeUndefined()
  })

  test.each([true, false])('is written as it is read, sampled %s', (isSampled) => {
    const parent = { traceId: TRACE, spanId: SPAN, isSampled }
    expect(readTraceparent(['traceparent', traceparentOf(parent)])).toEqual(parent)
  })
})

describe('tracestate', () => {
  const most = Array.from({ length: 32 }, (_, at) => `k${at}=v`).join(',')

  test.each([
    ['one member', ['foo=1'], 'foo=1'],
    ['several fields, in order', ['foo=1,bar=2', 'rojo=1'], 'foo=1,bar=2,rojo=1'],
    ['blanks around members', ['foo=1 \t , \t bar=2'], 'foo=1,bar=2'],
    ['empty members', ['foo=1,', '', ',bar=2'], 'foo=1,bar=2'],
    ['every sign of a key', ['a-_*/0=1,0fo-_*/@bar-_*/0=2'], 'a-_*/0=1,0fo-_*/@bar-_*/0=2'],
    ['every sign of a value', [`foo= !"#$%&'()*+-./:;<>?@[\\]^_\`{|}~`], `foo= !"#$%&'()*+-./:;<>?@[\\]^_\`{|}~`],
    ['32 members', [most], most],
    ['the longest key', [`${'z'.repeat(256)}=1`], `${'z'.repeat(256)}=1`],
    [
      'the longest key of a tenant',
      [`${'t'.repeat(241)}@${'v'.repeat(14)}=1`],
      `${'t'.repeat(241)}@${'v'.repeat(14)}=1`,
    ],
    ['the longest value', [`foo=${'v'.repeat(256)}`], `foo=${'v'.repeat(256)}`],
  ])('%s travels on', (_what, values, expected) => {
    expect(readTracestate(values.flatMap((value) => ['TraceState', value]))).toBe(expected)
  })

  test.each([
    ['nothing', []],
    ['an empty one', ['']],
    ['33 members', [`${most},last=1`]],
    ['a vendor twice', ['foo=1,foo=1']],
    ['a vendor in two fields', ['foo=1', 'bar=2,foo=3']],
    ['no value', ['foo=']],
    ['no key', ['=1']],
    ['no "="', ['foo']],
    ['"=" in a value', ['foo=bar=baz']],
    ['upper case in a key', ['FOO=1']],
    ['a key that begins with a sign', ['_foo=1']],
    ['a key that is too long', [`${'z'.repeat(257)}=1`]],
    ['a tenant that is too long', [`${'t'.repeat(242)}@v=1`]],
    ['a vendor that is too long', [`t@${'v'.repeat(15)}=1`]],
    ['"@" twice', ['foo@bar@baz=1']],
    ['"@" at an end', ['foo@=1']],
    ['a value that is too long', [`foo=${'v'.repeat(257)}`]],
    ['a blank within a key', ['fo o=1']],
    ['a blank between key and "="', ['foo =1']],
    ['no ASCII in a value', ['foo=ä']],
    ['one wrong among right ones', ['foo=1,BAR=2,baz=3']],
  ])('%s: nothing travels on', (_what, values) => {
    expect(readTracestate(values.flatMap((value) => ['tracestate', value]))).toBeUndefined()
  })

  test('more than 512 characters lose the large members first, and then the last ones', () => {
    const large = `large=${'v'.repeat(140)}`
    const small = Array.from({ length: 20 }, (_, at) => `k${at}=${'v'.repeat(20)}`)
    const kept = readTracestate(['tracestate', [large, ...small, 'last=1'].join(',')])
    expect(kept).toBe([...small, 'last=1'].join(','))
    const many = Array.from({ length: 30 }, (_, at) => `key${at}=${'v'.repeat(20)}`)
    const bounded = readTracestate(['tracestate', many.join(',')]) ?? ''
    expect(bounded.length).toBeLessThanOrEqual(512)
    expect(many.join(',').startsWith(bounded)).toBe(true)
    expect(bounded.length).toBeGreaterThan(512 - 30)
  })
})
