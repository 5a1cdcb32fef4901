import test from 'ava'
import { commandOf, environmentOf, workingDirectoryOf } from '../../src/container/image-process.ts'
import { defaultPath, type RunConfig } from '../../src/oci/image-config.ts'

const both: RunConfig = { Entrypoint: ['/entry', '-x'], Cmd: ['arg'] }

for (const { title, config, command = [], entrypoint, want } of [
  { title: 'Entrypoint and Cmd together', config: both, want: ['/entry', '-x', 'arg'] },
  {
    title: 'words in place of Cmd',
    config: both,
    command: ['a', 'b'],
    want: ['/entry', '-x', 'a', 'b'],
  },
  { title: 'an entrypoint that drops Cmd', config: both, entrypoint: ['/e'], want: ['/e'] },
  {
    title: 'an entrypoint with words',
    config: both,
    entrypoint: ['/e'],
    command: ['w'],
    want: ['/e', 'w'],
  },
  { title: 'no entrypoint but words', config: both, entrypoint: [], command: ['w'], want: ['w'] },
  { title: 'Cmd alone', config: { Cmd: ['sh'] }, want: ['sh'] },
  { title: 'Entrypoint alone', config: { Entrypoint: ['sh'] }, want: ['sh'] },
])
  test(`the command is ${title}`, t => {
    t.deepEqual(commandOf(config, { command, entrypoint }), want)
  })

for (const { title, config, entrypoint } of [
  { title: 'an image without any', config: {}, entrypoint: undefined },
  { title: 'an entrypoint taken away, with its Cmd', config: both, entrypoint: [] },
])
  test(`no command is refused: ${title}`, t => {
    t.throws(() => commandOf(config, { command: [], entrypoint }), {
      code: 'USAGE',
      message: /no command/,
    })
  })

const request = { hostname: 'h', terminal: false, home: '/home/me' }

for (const { title, config, environment, want } of [
  {
    title: 'defaults where nobody says anything',
    config: {},
    environment: [],
    want: [`PATH=${defaultPath}`, 'HOSTNAME=h', 'HOME=/home/me'],
  },
  {
    title: "the caller's before the image's",
    config: { Env: ['B=image', 'C=image'] },
    environment: ['A=mine', 'B=mine'],
    want: [`PATH=${defaultPath}`, 'HOSTNAME=h', 'A=mine', 'B=mine', 'C=image', 'HOME=/home/me'],
  },
  {
    title: 'PATH of the image in its place',
    config: { Env: ['PATH=/x'] },
    environment: [],
    want: ['PATH=/x', 'HOSTNAME=h', 'HOME=/home/me'],
  },
  {
    title: 'names without a value unset',
    config: { Env: ['GONE=1', 'PATH=/x'] },
    environment: ['GONE', 'PATH'],
    want: ['HOSTNAME=h', 'HOME=/home/me'],
  },
  {
    title: 'the last word on a name',
    config: {},
    environment: ['A=1', 'A=2=3', 'HOME=/mine'],
    want: [`PATH=${defaultPath}`, 'HOSTNAME=h', 'A=2=3', 'HOME=/mine'],
  },
])
  test(`the environment has ${title}`, t => {
    t.deepEqual(environmentOf(config, { ...request, environment }), want)
  })

test('a terminal is told to the process', t => {
  const variables = environmentOf({}, { ...request, terminal: true, environment: [] })
  t.true(variables.includes('TERM=xterm'))
})

for (const [asked, config, want] of [
  [undefined, undefined, '/'],
  [undefined, '', '/'],
  [undefined, '/srv/', '/srv'],
  ['/a/../b//c/.', '/srv', '/b/c'],
  ['/../..', undefined, '/'],
] as const)
  test(`the working directory of ${asked} and ${config} is ${want}`, t => {
    t.is(workingDirectoryOf(config === undefined ? {} : { WorkingDir: config }, asked), want)
  })

test('a relative working directory is refused', t => {
  t.throws(() => workingDirectoryOf({ WorkingDir: 'srv' }, undefined), { code: 'USAGE' })
})
