import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { until } from '../../test/start-lab.ts'
import { createTestDatabase } from '../../test/test-db.ts'
import { type Job, startJobs } from './runner.ts'

const log = pino({ level: 'silent' })

function countingJob(options: Partial<Job> = {}): { job: Job; runs: () => number; firstAt: () => number } {
  let runs = 0
  let firstAt = 0
  return {
    runs: () => runs,
    firstAt: () => firstAt,
    job: {
      name: 'counting',
      everyMs: 10,
      leader: true,
      async run() {
        runs += 1
        firstAt ||= performance.now()
      },
      ...options,
    },
  }
}

test('N8, R4: a job that expires things rests after the start and after every absence', async (t) => {
  const { db } = await createTestDatabase(t)
  const { job, runs, firstAt } = countingJob({ afterReadySeconds: 0.4 })
  let isAway = false
  const other: Job = { name: 'other', everyMs: 10, leader: false, run: async () => undefined }
  const startedAt = performance.now()
  const jobs = startJobs({ db, log, jobs: [other, job], holder: 'one', renewMs: 20, absenceMs: 200, isEnabled: () => !isAway })
  t.after(() => jobs.stop())
  await until('the time of grace is over', () => runs() > 0)
  assert.ok(firstAt() - startedAt >= 400, 'it ran before the time of grace was over')

  isAway = true
  await new Promise((resolve) => setTimeout(resolve, 300))
  const before = runs()
  isAway = false
  const backAt = performance.now()
  await until('it is at work again', () => runs() > before)
  assert.ok(performance.now() - backAt > 350, 'nobody could renew anything during the absence')
})

test('N8: a job that was under way when the process fell asleep does not hide the absence', async (t) => {
  const { db } = await createTestDatabase(t)
  const asleep = Promise.withResolvers<void>()
  let calls = 0
  const sleeper: Job = {
    name: 'sleeper',
    everyMs: 10,
    leader: false,
    async run() {
      calls += 1
      if (calls === 20) await asleep.promise
    },
  }
  const { job, runs } = countingJob({ afterReadySeconds: 0.3 })
  let isAway = false
  const jobs = startJobs({ db, log, jobs: [sleeper, job], holder: 'one', renewMs: 20, absenceMs: 200, isEnabled: () => !isAway })
  t.after(() => jobs.stop())
  await until('both are at work', () => calls === 20 && runs() > 0)
  isAway = true
  await new Promise((resolve) => setTimeout(resolve, 300))
  const before = runs()
  // As after SIGCONT: first ends what was under way, then everything else goes on.
  asleep.resolve()
  await asleep.promise
  isAway = false
  const backAt = performance.now()
  await until('the other job is at work again', () => runs() > before)
  assert.ok(performance.now() - backAt > 250, 'the sweep ran without a time of grace')
})

test('R3: a leader job runs on one of two runners, and on the other once the first has stopped', async (t) => {
  const { db } = await createTestDatabase(t)
  const [one, two] = [countingJob(), countingJob()]
  const first = startJobs({ db, log, jobs: [one.job], holder: 'one', renewMs: 20 })
  await until('the first leads', () => one.runs() > 0)
  const second = startJobs({ db, log, jobs: [two.job], holder: 'two', renewMs: 20 })
  t.after(() => second.stop())
  const before = one.runs()
  await until('the first goes on', () => one.runs() > before + 10)
  assert.equal(two.runs(), 0)
  await first.stop()
  await until('the second leads', () => two.runs() > 0)
})
