// What KIWI itself says of descriptions: those of this repository, and small ones that both must judge alike.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { checkDescription } from '../../src/description/check-description.ts'
import { descriptionText, makeDirectory, type Parts } from '../description/make-description.ts'
import { testWith } from '../helpers/needs.ts'

const root = path.join(import.meta.dirname, '../..')
const withKiwi = testWith({ programs: ['kiwi-ng'] })

/** KIWI's verdict: it reads the whole description before it says anything about it. */
function isValidForKiwi(directory: string): boolean {
  const { status } = spawnSync('kiwi-ng', ['image', 'info', '--description', directory], {
    encoding: 'utf8',
  })
  return status === 0
}

const shipped = ['descriptions', 'examples']
  .flatMap(folder =>
    readdirSync(path.join(root, folder)).map(name => path.join(root, folder, name)),
  )
  .filter(directory => existsSync(path.join(directory, 'config.xml')))
  // Written for KIWI 10: the version in Debian 12 reads up to 7.5.
  .filter(directory =>
    readFileSync(path.join(directory, 'config.xml'), 'utf8').includes('schemaversion="7.5"'),
  )

for (const directory of shipped)
  withKiwi(`KIWI reads ${path.relative(root, directory)}`, t => {
    t.true(isValidForKiwi(directory))
  })

const cases: readonly { title: string; parts: Parts; isValid: boolean }[] = [
  { title: 'a small description', parts: {}, isValid: true },
  { title: 'an older schema version', parts: { schemaVersion: '7.4' }, isValid: true },
  { title: 'a schema version of the future', parts: { schemaVersion: '9.9' }, isValid: false },
  { title: 'an unknown element', parts: { rest: '<packges/>' }, isValid: false },
  {
    title: 'an unknown attribute',
    parts: { type: '<type image="docker" colour="red"/>' },
    isValid: false,
  },
  { title: 'an unknown image type', parts: { type: '<type image="tar"/>' }, isValid: false },
  {
    title: 'a repository without a source',
    parts: { repository: '<repository/>' },
    isValid: false,
  },
  { title: 'text between elements', parts: { rest: 'text' }, isValid: false },
  {
    title: 'a complete container configuration',
    parts: {
      type: '<type image="docker"><containerconfig name="a" tag="1" additionalnames=":2" maintainer="m" user="u" workingdir="/w"><entrypoint execute="/x"><argument name="y"/></entrypoint><subcommand clear="true"/><expose><port number="80/tcp"/></expose><volumes><volume name="/v"/></volumes><environment><env name="a" value="b"/></environment><labels><label name="a" value="b"/></labels><history author="a" created_by="b">c</history></containerconfig></type>',
    },
    isValid: true,
  },
  {
    title: 'users, drivers and strips',
    parts: {
      rest: '<users><user name="a" password="*" groups="b:5,c" home="/h" id="7" pwdformat="encrypted" realname="R" shell="/bin/sh"/></users><drivers><file name="x"/></drivers><strip type="libs"><file name="y"/></strip>',
    },
    isValid: true,
  },
]

for (const { title, parts, isValid } of cases)
  withKiwi(`KIWI and kauri agree: ${title} is ${isValid ? 'valid' : 'invalid'}`, async t => {
    const directory = makeDirectory(t, { 'config.xml': descriptionText(parts) })
    const findings = await checkDescription(directory)
    t.is(!findings.some(({ severity }) => severity === 'error'), isValid)
    t.is(isValidForKiwi(directory), isValid)
  })
