import test from 'ava'
import { normalPlatform, parseStagePlatform } from '../../src/dockerfile/stage-platform.ts'

const own = { os: 'linux', architecture: 'amd64' }

for (const [text, want] of [
  ['linux/amd64', own],
  ['Linux/x86_64', own],
  ['linux/amd64/v1', own],
  ['linux/amd64/v3', { ...own, variant: 'v3' }],
  ['linux/aarch64', { os: 'linux', architecture: 'arm64' }],
  ['linux/arm64/v8', { os: 'linux', architecture: 'arm64' }],
  ['linux/arm64/9', { os: 'linux', architecture: 'arm64', variant: 'v9' }],
  ['linux/arm', { os: 'linux', architecture: 'arm', variant: 'v7' }],
  ['linux/arm/6', { os: 'linux', architecture: 'arm', variant: 'v6' }],
  ['linux/armhf', { os: 'linux', architecture: 'arm', variant: 'v7' }],
  ['linux/armel', { os: 'linux', architecture: 'arm', variant: 'v6' }],
  ['linux/i386', { os: 'linux', architecture: '386' }],
  ['linux/what', { os: 'linux', architecture: 'what' }],
  ['macos/arm64', { os: 'darwin', architecture: 'arm64' }],
  ['linux', own],
  ['riscv64', { os: 'linux', architecture: 'riscv64' }],
  [
    'windows(10.0.17763)/amd64',
    { os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763' },
  ],
] as const)
  test(`the platform ${text} is understood`, t => {
    t.deepEqual<unknown, unknown>(parseStagePlatform(text, own), want)
  })

for (const [text, message] of [
  ['linux/*', /^"linux\/\*": wildcards not yet supported: invalid argument$/],
  [
    'li nux/amd64',
    /^"li nux" is an invalid OS component of "li nux\/amd64": OSAndVersion specifier component must match /,
  ],
  [
    'linux/',
    /^"" is an invalid component of "linux\/": platform specifier component must match "\^\[A-Za-z0-9_\.-\]\+\$": invalid argument$/,
  ],
  ['linux/a/b/c', /^"linux\/a\/b\/c": cannot parse platform specifier: invalid argument$/],
  ['pdp11', /^"pdp11": unknown operating system or architecture: invalid argument$/],
] as const)
  test(`the platform ${text} is refused`, t => {
    t.throws(() => parseStagePlatform(text, own), { message })
  })

test('variants that everybody means are left out', t => {
  t.deepEqual<unknown, unknown>(
    normalPlatform({ os: 'linux', architecture: 'arm64', variant: 'v8' }),
    {
      os: 'linux',
      architecture: 'arm64',
    },
  )
})
