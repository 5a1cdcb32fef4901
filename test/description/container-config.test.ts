import type { ExecutionContext } from 'ava'
import test from 'ava'
import { imageReferences, runConfig } from '../../src/description/container-config.ts'
import {
  type SelectedDescription,
  selectDescription,
} from '../../src/description/select-description.ts'
import type { RunConfig } from '../../src/oci/image-config.ts'
import { formatReference } from '../../src/oci/reference.ts'
import { descriptionText, readText } from './make-description.ts'

async function selectType(t: ExecutionContext, type: string): Promise<SelectedDescription> {
  return selectDescription(await readText(t, descriptionText({ type })), {
    profiles: [],
    machine: 'x86_64',
  })
}

const inContainer = (content: string, attributes = 'name="a"'): string =>
  `<type image="docker"><containerconfig ${attributes}>${content}</containerconfig></type>`

const names: readonly { title: string; type: string; references: readonly string[] }[] = [
  {
    title: 'no containerconfig',
    type: '<type image="docker"/>',
    references: ['docker.io/library/kiwi-container:latest'],
  },
  { title: 'a name alone', type: inContainer(''), references: ['docker.io/library/a:latest'] },
  {
    title: 'a tag and names of each form',
    type: inContainer('', 'name="a" tag="1" additionalnames=":2,b:3,example.org/c,:1"'),
    references: [
      'docker.io/library/a:1',
      'docker.io/library/a:2',
      'docker.io/library/b:3',
      'example.org/c:latest',
    ],
  },
  { title: 'a tarball', type: '<type image="tbz"/>', references: [] },
]

for (const { title, type, references } of names)
  test(`the names of an image with ${title} are ${references.join(', ') || 'none'}`, async t => {
    t.deepEqual(imageReferences(await selectType(t, type)).map(formatReference), references)
  })

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const configs: readonly { title: string; type: string; config: RunConfig }[] = [
  {
    title: 'without a command starts a shell',
    type: inContainer(''),
    config: { Env: [path], Cmd: ['/bin/bash'] },
  },
  {
    title: 'without containerconfig starts a shell',
    type: '<type image="oci"/>',
    config: { Env: [path], Cmd: ['/bin/bash'] },
  },
  {
    title: 'with an entrypoint alone has no command',
    type: inContainer('<entrypoint execute="/init"/>'),
    config: { Env: [path], Entrypoint: ['/init'] },
  },
  {
    title: 'with a subcommand alone has no entrypoint',
    type: inContainer('<subcommand execute="/bin/sh"><argument name="-l"/></subcommand>'),
    config: { Env: [path], Cmd: ['/bin/sh', '-l'] },
  },
  {
    title: 'with both cleared has neither',
    type: inContainer('<entrypoint clear="true"/><subcommand clear="true"/>'),
    config: { Env: [path] },
  },
  {
    title: 'has ports with their protocol',
    type: inContainer(
      '<expose><port number="80"/><port number="080/udp"/></expose><subcommand execute="x"/>',
    ),
    config: { Env: [path], Cmd: ['x'], ExposedPorts: { '80/tcp': {}, '80/udp': {} } },
  },
  {
    title: 'keeps the order of variables and takes the last value',
    type: inContainer(
      '<subcommand execute="x"/><environment><env name="B" value="1"/><env name="A" value="a=b"/><env name="B" value="2"/></environment>',
    ),
    config: { Env: [path, 'B=2', 'A=a=b'], Cmd: ['x'] },
  },
  { title: 'of a tarball is empty', type: '<type image="tbz"/>', config: {} },
]

for (const { title, type, config } of configs)
  test(`a configuration ${title}`, async t => {
    t.deepEqual(runConfig(await selectType(t, type)), config)
  })
