import test from 'ava'
import {
  type EndedRun,
  formatRestartPolicy,
  nextRestart,
  parseRestartPolicy,
} from '../../src/container/restart-policy.ts'

for (const text of ['no', 'on-failure', 'on-failure:3', 'always', 'unless-stopped'])
  test(`the policy ${text} is read as it is written`, t => {
    t.is(formatRestartPolicy(parseRestartPolicy(text)), text)
  })

for (const text of [
  'never',
  'always:3',
  'no:1',
  'on-failure:x',
  'on-failure:-1',
  'on-failure:',
  'A',
])
  test(`the policy ${text} is refused`, t => {
    t.throws(() => parseRestartPolicy(text), { code: 'USAGE', message: /invalid restart policy/ })
  })

const run: EndedRun = { exitCode: 1, ranMs: 5, wasStopped: false, restarts: 0, lastWaitMs: 0 }

for (const { policy, ended, want } of [
  { policy: 'no', ended: {}, want: undefined },
  { policy: 'always', ended: {}, want: 100 },
  { policy: 'always', ended: { exitCode: 0 }, want: 100 },
  { policy: 'always', ended: { lastWaitMs: 100 }, want: 200 },
  { policy: 'always', ended: { lastWaitMs: 51_200 }, want: 60_000 },
  { policy: 'always', ended: { lastWaitMs: 60_000 }, want: 60_000 },
  { policy: 'always', ended: { lastWaitMs: 60_000, ranMs: 10_000 }, want: 100 },
  { policy: 'always', ended: { wasStopped: true }, want: undefined },
  { policy: 'unless-stopped', ended: { wasStopped: true }, want: undefined },
  { policy: 'unless-stopped', ended: { exitCode: 0 }, want: 100 },
  { policy: 'on-failure', ended: { exitCode: 0 }, want: undefined },
  { policy: 'on-failure', ended: { restarts: 1000 }, want: 100 },
  { policy: 'on-failure:2', ended: { restarts: 1, lastWaitMs: 100 }, want: 200 },
  { policy: 'on-failure:2', ended: { restarts: 2, lastWaitMs: 200 }, want: undefined },
])
  test(`after ${JSON.stringify(ended)} the policy ${policy} waits ${want}`, t => {
    t.is(nextRestart(parseRestartPolicy(policy), { ...run, ...ended }), want)
  })
