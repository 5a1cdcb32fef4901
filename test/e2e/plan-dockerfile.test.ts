import { writeFileSync } from 'node:fs'
import { kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const dockerfile = `ARG NAME=one
FROM scratch AS base
COPY a /
FROM scratch
COPY --from=base /a /$NAME
ARG NAME
WORKDIR /\${NAME}
`

testWith({ root: true })(
  'plan shows the steps of a Dockerfile, and which of them are there, without building any',
  async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()

    writeFileSync(scratch.at('Dockerfile'), dockerfile)
    writeFileSync(scratch.at('a'), 'text')
    const states = async (...options: string[]): Promise<unknown> => {
      const { code, stdout, stderr } = await kauri.run(['plan', '--json', ...options, scratch.path])
      t.is(code, 0, stderr)
      const { steps } = JSON.parse(stdout) as {
        steps: { title: string; cached: boolean; why: string | null }[]
      }
      return steps.map(({ title, cached, why }) => [title, cached ? 'cached' : why])
    }
    t.deepEqual(await states(), [
      ['[base 1/1] COPY a /', 'never-run'],
      ['[stage-1 1/2] COPY --from=base /a /', 'unknown-until-built'],
      ['[stage-1 2/2] WORKDIR /one', 'unknown-until-built'],
    ])
    t.is((await kauri.run(['build', '--quiet', scratch.path])).code, 0)
    t.deepEqual(await states(), [
      ['[base 1/1] COPY a /', 'cached'],
      ['[stage-1 1/2] COPY --from=base /a /', 'cached'],
      ['[stage-1 2/2] WORKDIR /one', 'cached'],
    ])
    t.deepEqual(await states('--build-arg', 'NAME=two'), [
      ['[base 1/1] COPY a /', 'cached'],
      ['[stage-1 1/2] COPY --from=base /a /', 'cached'],
      ['[stage-1 2/2] WORKDIR /two', 'never-run'],
    ])
    t.deepEqual(await states('--target', 'BASE'), [['[base 1/1] COPY a /', 'cached']])
    writeFileSync(scratch.at('a'), 'other')
    t.deepEqual(((await states()) as string[][])[0], ['[base 1/1] COPY a /', 'inputs-changed'])
  },
)

testWith({ root: true })('a Dockerfile’s escape sequences do not reach the terminal', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  writeFileSync(scratch.at('a'), '')
  writeFileSync(scratch.at('Dockerfile'), 'FROM scratch\nCOPY a /\x1b]0;title\x07\x1b[2J\u202e\n')
  const { code, stdout, stderr } = await kauri.run(['plan', scratch.path])
  t.is(code, 0, stderr)
  t.true(stdout.includes(String.raw`COPY a /\x1b]0;title\x07\x1b[2J\u202e`), stdout)
  const label = 'FROM scratch\nENV A="\x1b[2J\x7f\x9b31m"\nLABEL a="\x7f\x9b31m"\n'
  writeFileSync(scratch.at('Dockerfile'), label)
  t.is((await kauri.run(['build', '-q', '-t', 'label', scratch.path])).code, 0)
  const history = await kauri.run(['history', '--no-trunc', 'label'])
  t.true(history.stdout.includes(String.raw`ENV A=\x1b[2J\u007f\u009b31m`), history.stdout)
  const inspected = await kauri.run(['inspect', 'label'])
  t.notRegex(inspected.stdout + history.stdout, /(?![\n\t])\p{Cc}/u)
  t.is(JSON.parse(inspected.stdout)[0].Config.Labels.a, '\x7f\x9b31m')
})

testWith({ root: true })('plan refuses what a build refuses, with the place', async t => {
  using kauri = kauriProgram()
  using scratch = makeScratch()
  writeFileSync(scratch.at('Dockerfile'), 'FROM scratch\nCOPY --from=1 / /\n')
  const { code, stderr } = await kauri.run(['plan', scratch.path])
  t.is(code, 2)
  t.regex(stderr, /Dockerfile:2:1: invalid stage index 1/)
  t.regex(stderr, />>> COPY --from=1/)
  t.is((await kauri.run(['plan', '--tag', 'a', scratch.path])).code, 2)
})
