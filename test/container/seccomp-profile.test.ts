import { writeFileSync } from 'node:fs'
import { release } from 'node:os'
import test from 'ava'
import { parseSeccompProfile, readSeccompProfile } from '../../src/container/seccomp-profile.ts'
import { makeScratch } from '../helpers/scratch.ts'

const conditions = { capabilities: ['CAP_CHOWN', 'CAP_KILL'], arch: 'x64' }
const rule = { names: ['sync'], action: 'SCMP_ACT_ERRNO' }

test('architectures come from the entry of this machine', t => {
  const archMap = [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
  ]
  const profile = { defaultAction: 'SCMP_ACT_ALLOW', archMap }
  t.deepEqual(parseSeccompProfile(profile, conditions).architectures, [
    'SCMP_ARCH_X86_64',
    'SCMP_ARCH_X86',
  ])
  t.deepEqual(parseSeccompProfile(profile, { ...conditions, arch: 'arm64' }).architectures, [
    'SCMP_ARCH_AARCH64',
    'SCMP_ARCH_ARM',
  ])
})

for (const [title, condition, isThere] of [
  ['no condition', {}, true],
  ['all capabilities included', { includes: { caps: ['CAP_CHOWN', 'CAP_KILL'] } }, true],
  ['one included capability missing', { includes: { caps: ['CAP_CHOWN', 'CAP_BPF'] } }, false],
  ['one excluded capability there', { excludes: { caps: ['CAP_CHOWN', 'CAP_BPF'] } }, false],
  ['no excluded capability there', { excludes: { caps: ['CAP_BPF'] } }, true],
  ['this architecture included', { includes: { arches: ['amd64', 'x32'] } }, true],
  ['another architecture included', { includes: { arches: ['s390x'] } }, false],
  ['this architecture excluded', { excludes: { arches: ['amd64'] } }, false],
  ['an old kernel', { includes: { minKernel: '4.8' } }, true],
  ['this kernel', { includes: { minKernel: release().split('.').slice(0, 2).join('.') } }, true],
  ['a later kernel', { includes: { minKernel: '99.0' } }, false],
] as const)
  test(`a rule with ${title} is ${isThere ? 'kept' : 'left out'}`, t => {
    const profile = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...rule, ...condition }] }
    t.is(parseSeccompProfile(profile, conditions).syscalls.length, isThere ? 1 : 0)
  })

test('arguments and numbers reach the rule', t => {
  const args = [{ index: 1, value: 2, valueTwo: 3, op: 'SCMP_CMP_MASKED_EQ' }]
  const profile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    architectures: ['SCMP_ARCH_X86_64'],
    syscalls: [{ name: 'clone', action: 'SCMP_ACT_ALLOW', errnoRet: 5, args }],
  }
  t.deepEqual(parseSeccompProfile(profile, conditions), {
    ...profile,
    syscalls: [{ names: ['clone'], action: 'SCMP_ACT_ALLOW', errnoRet: 5, args }],
  })
})

for (const profile of [
  null,
  [],
  {},
  { defaultAction: 7 },
  { defaultAction: 'SCMP_ACT_ALLOW', syscalls: {} },
  { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: 'sync', action: 'SCMP_ACT_ERRNO' }] },
  { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['sync'] }] },
  { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...rule, args: [{ index: '1' }] }] },
])
  test(`${JSON.stringify(profile)} is no profile`, t => {
    t.throws(() => parseSeccompProfile(profile, conditions), { code: 'USAGE' })
  })

test('a file that is no JSON, too large or not there is named', async t => {
  using scratch = makeScratch()
  writeFileSync(scratch.at('bad'), '{')
  writeFileSync(scratch.at('large'), Buffer.alloc(2 * 1024 * 1024, ' '))
  for (const name of ['bad', 'large', 'missing', '.'])
    await t.throwsAsync(readSeccompProfile(scratch.at(name), conditions), {
      code: 'USAGE',
      message: new RegExp(scratch.path),
    })
})
