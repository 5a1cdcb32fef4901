import test from 'ava'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import {
  type BuildStep,
  guestPath,
  type InstallStep,
  type SourceRoot,
} from '../../src/plan/plan.ts'
import { stepIdentity } from '../../src/plan/step-identity.ts'

const where = { file: 'config.xml', line: 3, column: 5 }

const install: InstallStep = {
  kind: 'install',
  title: 'bootstrap',
  where,
  phase: 'bootstrap',
  manager: 'apt',
  bootstrap: true,
  repositories: [
    {
      alias: 'main',
      location: 'obsrepositories:/',
      components: ['main'],
      keys: [],
      checkSignatures: true,
      inImage: 'no',
      where,
    },
  ],
  packages: [{ name: 'apt', where }],
  ignore: [],
  recommended: false,
  excludeDocs: false,
}

const identity = (step: BuildStep): string => canonicalJson(stepIdentity(step))

test('where a step was written, what it is called and its phase do not change its identity', t => {
  const moved = { ...where, line: 99 }
  const other: BuildStep = {
    ...install,
    title: 'another name',
    where: moved,
    phase: 'packages',
    packages: [{ name: 'apt', where: moved }],
  }
  t.is(identity(install), identity(other))
  t.false(identity(install).includes('config.xml'))
})

test('what shapes the result changes the identity', t => {
  const link: BuildStep = {
    kind: 'link',
    title: 'time zone',
    phase: 'config',
    target: guestPath('/etc/localtime'),
    to: '../usr/share/zoneinfo/UTC',
  }
  const variants: BuildStep[] = [
    install,
    { ...install, recommended: true },
    { ...install, packages: [{ name: 'dpkg' }] },
    {
      ...install,
      repositories: install.repositories.map(one => ({ ...one, checkSignatures: false })),
    },
    link,
    { ...link, to: '../usr/share/zoneinfo/Europe/Berlin' },
  ]
  t.is(new Set(variants.map(identity)).size, variants.length)
})

test('credentials of a repository are not in the identity', t => {
  const at = (location: string): BuildStep => ({
    ...install,
    repositories: install.repositories.map(one => ({ ...one, location })),
  })
  t.is(
    identity(at('http://me:s%40cret@example.org/debian')),
    identity(at('http://example.org/debian')),
  )
  t.not(identity(at('http://example.org/debian')), identity(at('http://example.org/other')))
})

test('what a stage or context is called that a step reads from is not in the identity', t => {
  const add = (from: SourceRoot): BuildStep => ({
    kind: 'add',
    title: 'COPY a /',
    phase: 'instruction',
    from,
    sources: [{ kind: 'pattern', pattern: '/a' }],
    target: guestPath('/'),
    targetIsDirectory: true,
    parents: false,
    excludes: [],
    link: false,
    unpack: 'none',
  })
  t.is(
    identity(add({ kind: 'stage', stage: 'build' })),
    identity(add({ kind: 'stage', stage: 'compile' })),
  )
  t.not(
    identity(add({ kind: 'stage', stage: 'build' })),
    identity(add({ kind: 'context', context: 'build' })),
  )
})
