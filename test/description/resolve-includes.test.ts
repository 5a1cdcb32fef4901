import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { readDescription } from '../../src/description/read-description.ts'
import {
  briefly,
  descriptionText,
  findingsOf,
  makeDirectory,
  readText,
} from './make-description.ts'

const included = (content: string): string => `<image>\n${content}\n</image>\n`
const include = (from: string): string => descriptionText({ rest: `<include from="${from}"/>` })
const user = '<users><user name="tux" password="*"/></users>'

for (const from of [
  'users.xml',
  './users.xml',
  'file://users.xml',
  'file:users.xml',
  'this://users.xml',
  'this://./users.xml',
])
  test(`the file ${from} takes the place of its include`, async t => {
    const description = await readText(t, include(from), { 'users.xml': included(user) })
    t.is(description.users[0]?.users[0]?.name.value, 'tux')
  })

test('includes nest, relative to the file they stand in', async t => {
  const description = await readText(t, include('parts/a.xml'), {
    'parts/a.xml': included('<include from="more/b.xml"/><include from="this://c.xml"/>'),
    'parts/more/b.xml': included(user),
    'c.xml': included('<users><user name="joe" password="*"/></users>'),
  })
  t.deepEqual(
    description.users.map(({ users }) => users[0]?.name.value),
    ['tux', 'joe'],
  )
})

test('findings in an included file have their place there', async t => {
  const directory = makeDirectory(t, {
    'config.xml': include('users.xml'),
    'users.xml': included('\n  <userz/>'),
  })
  const error = await t.throwsAsync(readDescription(directory), { instanceOf: KauriError })
  t.deepEqual(error?.where, { file: `${directory}/users.xml`, line: 3, column: 3 })
})

test('an included file that is not well-formed is told at its place', async t => {
  const found = await findingsOf(t, include('users.xml'), {
    'users.xml': '<image>\n<users>\n</image>',
  })
  t.deepEqual(briefly(found), ['3:1 xml-syntax'])
})

const refused: readonly {
  title: string
  from: string
  files?: Record<string, string>
  says: string
}[] = [
  {
    title: 'a file that is not there',
    from: 'no.xml',
    says: 'there is no file no.xml, which config.xml includes',
  },
  { title: 'a file outside', from: '../other.xml', says: '../other.xml is not a file below' },
  {
    title: 'an absolute path',
    from: 'file:///etc/passwd',
    says: 'file:///etc/passwd is not a file below',
  },
  {
    title: 'a URL',
    from: 'http://example.org/x.xml',
    says: 'http://example.org/x.xml is not a file below',
  },
  {
    title: 'the file itself',
    from: 'config.xml',
    says: 'config.xml includes itself: config.xml → config.xml',
  },
  {
    title: 'a file with another first element',
    from: 'a.xml',
    files: { 'a.xml': '<users/>' },
    says: 'the first element of a.xml is <users>, not <image>',
  },
  {
    title: 'a circle of files',
    from: 'a.xml',
    files: {
      'a.xml': included('<include from="b.xml"/>'),
      'b.xml': included('<include from="a.xml"/>'),
    },
    says: 'a.xml includes itself: config.xml → a.xml → b.xml → a.xml',
  },
]

for (const { title, from, files, says } of refused)
  test(`an include of ${title} is refused`, async t => {
    const [finding] = await findingsOf(t, include(from), files)
    t.is(finding?.rule, 'include-invalid')
    t.true(finding?.message.startsWith(says), finding?.message)
  })

test('files that include each other many times over end', async t => {
  const twice = (name: string): string =>
    included(`<include from="${name}"/><include from="${name}"/>`)
  const files = Object.fromEntries(
    Array.from({ length: 12 }, (_, n) => [
      `${n}.xml`,
      n === 11 ? included(user) : twice(`${n + 1}.xml`),
    ]),
  )
  const found = await findingsOf(t, include('0.xml'), files)
  t.true(found.some(({ message }) => message === 'more than 200 included files'))
})
