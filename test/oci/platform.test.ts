import test from 'ava'
import { formatPlatform, matchesPlatform, parsePlatform } from '../../src/oci/platform.ts'

const forms: readonly [string, string][] = [
  ['linux/amd64', 'linux/amd64'],
  ['linux/x86_64', 'linux/amd64'],
  ['linux/arm64', 'linux/arm64/v8'],
  ['linux/aarch64', 'linux/arm64/v8'],
  ['linux/arm', 'linux/arm/v7'],
  ['linux/arm/v6', 'linux/arm/v6'],
  ['Linux/ARM64/v8', 'linux/arm64/v8'],
  ['riscv64', 'linux/riscv64'],
  ['windows/amd64', 'windows/amd64'],
]
for (const [text, want] of forms)
  test(`the platform ${text} is ${want}`, t => {
    t.is(formatPlatform(parsePlatform(text)), want)
  })

for (const text of ['', 'linux/', '/amd64', 'a/b/c/d', 'linux/amd 64', 'linux/../x'])
  test(`"${text}" is no platform`, t => {
    t.throws(() => parsePlatform(text), { code: 'USAGE' })
  })

const pairs: readonly [string, string, boolean][] = [
  ['linux/arm64', 'linux/arm64/v8', true],
  ['linux/amd64/v1', 'linux/amd64', true],
  ['linux/arm/v6', 'linux/arm/v7', false],
  ['linux/amd64', 'linux/arm64', false],
]
for (const [offered, wanted, want] of pairs)
  test(`an image for ${offered} ${want ? 'runs' : 'does not run'} on ${wanted}`, t => {
    t.is(matchesPlatform(parsePlatform(offered), parsePlatform(wanted)), want)
  })

test('a descriptor without the usual variant matches a platform that names it', t => {
  t.true(
    matchesPlatform(
      { os: 'linux', architecture: 'arm64' },
      { os: 'linux', architecture: 'arm64', variant: 'v8' },
    ),
  )
})
