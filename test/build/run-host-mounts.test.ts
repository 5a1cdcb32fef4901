import { mkdirSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { hostMounts, readBuildMounts } from '../../src/build/build-mounts-file.ts'
import { KauriError } from '../../src/core/errors.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

function fileOf(scratch: Scratch, text: string): string {
  writeFileSync(scratch.at('mounts.conf'), text)
  return scratch.at('mounts.conf')
}

test('lines are pairs of paths, or one path for both sides; comments and empty lines say nothing', t => {
  using scratch = makeScratch()
  const text = '# credentials\n/a/b:/c/d\n\n  \t/same/here  \r\n   # indented\n/x//y/:/z/./w/\n'
  t.deepEqual(readBuildMounts(fileOf(scratch, text)), [
    { source: '/a/b', target: '/c/d' },
    { source: '/same/here', target: '/same/here' },
    { source: '/x//y/', target: '/z/w/' },
  ])
})

for (const [line, reason] of [
  ['relative:/a', '"relative" is not an absolute path'],
  ['/a:relative', '"relative" is not an absolute path'],
  ['/a:', '"" is not an absolute path'],
  [':/a', '"" is not an absolute path'],
  ['/a:/b:ro', 'it has two colons'],
  ['/a:/', 'the root is no mount point'],
  ['/:/', 'the root is no mount point'],
  ['/a:/b/../../c', '"/b/../../c" has a ".." in it'],
  ['/a/../b:/c', '"/a/../b" has a ".." in it'],
] as const)
  test(`the line ${line} is refused with its place`, t => {
    using scratch = makeScratch()
    const file = fileOf(scratch, `/fine:/fine\n${line}\n`)
    const error = t.throws(() => readBuildMounts(file), { instanceOf: KauriError })
    t.is(error?.message, `${JSON.stringify(line)} is no mount: ${reason}`)
    t.deepEqual(error?.where, { file, line: 2, column: 1 })
  })

test('no file means no mounts', t => {
  using scratch = makeScratch()
  t.deepEqual(
    hostMounts(undefined, () => {}),
    [],
  )
  t.deepEqual(
    hostMounts(scratch.at('missing'), () => {}),
    [],
  )
})

test('directories and files are read-only; what the host lacks is a warning', t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('directory'))
  const file = fileOf(scratch, `${scratch.at('directory')}:/d\n${scratch.at('none')}:/n\n`)
  const warnings: string[] = []
  const mounts = hostMounts(file, event => {
    if (event.kind === 'warning') warnings.push(event.message)
  })
  t.deepEqual(
    mounts.map(({ destination }) => destination),
    ['/d'],
  )
  t.true(mounts.every(({ options }) => options.includes('ro') && options.includes('nosuid')))
  t.deepEqual(warnings, [`${scratch.at('none')}, which ${file} mounts on /n, is not there`])
})
