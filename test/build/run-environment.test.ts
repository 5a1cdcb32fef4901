import test from 'ava'
import { stepEnvironment } from '../../src/build/steps/run-environment.ts'
import { guestPath } from '../../src/plan/plan.ts'
import { instruction } from '../helpers/run-steps.ts'

const parts = { epochSeconds: 7, home: '/root', proxy: [], secret: [] }
const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

test('an instruction gets PATH and HOME where it sets none', t => {
  const step = instruction('true', { environment: [] })
  t.deepEqual(stepEnvironment(step, parts), [defaultPath, 'HOME=/root'])
  const own = instruction('true', { environment: ['HOME=/x', 'PATH=/y'] })
  t.deepEqual(stepEnvironment(own, parts), ['HOME=/x', 'PATH=/y'])
})

test('a script of a description gets nothing but the time of the image', t => {
  const step = instruction('true', { phase: 'config', showsEpoch: true, environment: ['A=1'] })
  t.deepEqual(stepEnvironment(step, parts), ['A=1', 'SOURCE_DATE_EPOCH=7'])
  const own = { ...step, environment: ['SOURCE_DATE_EPOCH=9'] }
  t.deepEqual(stepEnvironment(own, parts), ['SOURCE_DATE_EPOCH=9'])
})

test('an instruction does not see the time of the image', t => {
  t.false(stepEnvironment(instruction('true'), parts).some(entry => entry.includes('EPOCH')))
})

test('of a variable that is set twice the last one counts; proxies and secrets come after the step’s own', t => {
  const step = instruction('true', { environment: ['A=1', 'http_proxy=own', 'A=2', 'B'] })
  const environment = stepEnvironment(step, {
    ...parts,
    proxy: ['http_proxy=http://caller'],
    secret: ['A=secret'],
  })
  t.deepEqual(environment, ['B', 'http_proxy=http://caller', defaultPath, 'A=secret', 'HOME=/root'])
})

test('the first ssh mount names the agent, also where the caller has none, unless the step says which', t => {
  const mount = {
    kind: 'ssh',
    id: 'default',
    target: guestPath('/run/buildkit/ssh_agent.0'),
    required: false,
    mode: 0o600,
    uid: 0,
    gid: 0,
  } as const
  const step = instruction('true', {
    buildMounts: [mount, { ...mount, target: guestPath('/second') }],
  })
  t.true(stepEnvironment(step, parts).includes('SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0'))
  const own = { ...step, environment: ['SSH_AUTH_SOCK=/own'] }
  t.deepEqual(
    stepEnvironment(own, parts).filter(entry => entry.startsWith('SSH')),
    ['SSH_AUTH_SOCK=/own'],
  )
})
