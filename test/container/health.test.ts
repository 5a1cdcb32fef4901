import test from 'ava'
import {
  afterCheck,
  checkIntervalMs,
  type Health,
  type HealthPlan,
  type HealthResult,
  healthPlanOf,
  isCheckDue,
  startingHealth,
} from '../../src/container/health.ts'

const plan: HealthPlan = {
  args: ['true'],
  intervalMs: 30_000,
  timeoutMs: 30_000,
  startPeriodMs: 0,
  startIntervalMs: 5000,
  retries: 3,
}

function result(code: number, endMs = 0): HealthResult {
  const time = new Date(endMs).toISOString()
  return { Start: time, End: time, ExitCode: code, Output: '' }
}

function afterAll(codes: readonly number[], given = plan, ranMs = 1_000_000): Health {
  return codes.reduce(
    (health, code) => afterCheck(health, result(code), given, ranMs),
    startingHealth,
  )
}

for (const { codes, status, streak } of [
  { codes: [0], status: 'healthy', streak: 0 },
  { codes: [1], status: 'starting', streak: 1 },
  { codes: [1, 1, 1], status: 'unhealthy', streak: 3 },
  { codes: [1, 1, 0], status: 'healthy', streak: 0 },
  { codes: [0, 1, 1], status: 'healthy', streak: 2 },
  { codes: [1, 1, 1, 0], status: 'healthy', streak: 0 },
  { codes: [-1, -1, -1, -1], status: 'unhealthy', streak: 4 },
])
  test(`after the answers ${codes.join(' ')} the health is ${status}`, t => {
    t.like(afterAll(codes), { Status: status, FailingStreak: streak })
  })

test('failures while a container starts count for nothing, a success does', t => {
  const starting = { ...plan, startPeriodMs: 10_000 }
  t.like(afterAll([1, 1, 1, 1], starting, 5000), { Status: 'starting', FailingStreak: 0 })
  t.like(afterAll([1, 0], starting, 5000), { Status: 'healthy' })
  t.like(afterAll([1, 1, 1], starting, 10_000), { Status: 'unhealthy' })
})

test('five answers are kept', t => {
  t.is(afterAll([1, 1, 1, 1, 1, 1, 1]).Log.length, 5)
})

test('in the start period checks come at its interval, and afterwards only when they are due', t => {
  const starting = { ...plan, startPeriodMs: 60_000 }
  t.is(checkIntervalMs(starting), 5000)
  t.is(checkIntervalMs(plan), 30_000)
  const healthy: Health = { Status: 'healthy', FailingStreak: 0, Log: [result(0, 100_000)] }
  t.true(isCheckDue(starting, startingHealth, 1000, 100_000))
  t.false(isCheckDue(starting, healthy, 1000, 105_000))
  t.true(isCheckDue(starting, healthy, 1000, 130_000))
})

test('the caller changes what the image asks for, and can take it away', t => {
  const image = { Test: ['CMD', 'check'], Interval: 1e9 }
  const of = (healthcheck: object | undefined, images: object = { Healthcheck: image }) =>
    healthPlanOf({ spec: { healthcheck }, imageConfig: images } as Parameters<
      typeof healthPlanOf
    >[0])
  t.like(of(undefined), { args: ['check'], intervalMs: 1000, timeoutMs: 30_000, retries: 3 })
  t.like(of({ Retries: 7 }), { args: ['check'], retries: 7 })
  t.like(of({ Test: ['CMD-SHELL', 'a b'] }), { args: ['/bin/sh', '-c', 'a b'] })
  t.is(of({ Test: ['NONE'] }), undefined)
  t.is(of(undefined, {}), undefined)
})
