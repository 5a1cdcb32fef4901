import test from 'ava'
import type { KauriError } from '../../src/core/errors.ts'
import type { Description, ImageTypeName } from '../../src/description/description.ts'
import {
  resultBaseName,
  type SelectedDescription,
  type SelectOptions,
  selectDescription,
} from '../../src/description/select-description.ts'
import { descriptionText, kauriErrorOf, readText } from './make-description.ts'

const select = (
  description: Description,
  options: Partial<SelectOptions> = {},
): SelectedDescription =>
  selectDescription(description, { profiles: [], machine: 'x86_64', ...options })

const profiles = [
  '<profiles>',
  '<profile name="base" description=""/>',
  '<profile name="web" description="" import="true"><requires profile="base"/><requires profile="arm" arch="aarch64"/></profile>',
  '<profile name="arm" description="" arch="aarch64"/>',
  '<profile name="db" description=""><requires profile="base"/></profile>',
  '</profiles>',
].join('')

const chosen: readonly { wanted: string[]; machine?: string; profiles: string[] }[] = [
  { wanted: [], profiles: ['web', 'base'] },
  { wanted: ['db'], profiles: ['db', 'base'] },
  { wanted: ['db', 'web'], profiles: ['db', 'base', 'web'] },
  { wanted: ['base', 'base'], profiles: ['base'] },
  { wanted: [], machine: 'aarch64', profiles: ['web', 'base', 'arm'] },
]

for (const { wanted, machine = 'x86_64', profiles: result } of chosen)
  test(`on ${machine}, profiles "${wanted.join(' ')}" are ${result.join(', ')}`, async t => {
    const description = await readText(t, descriptionText({ rest: profiles }))
    t.deepEqual(select(description, { profiles: wanted, machine }).profiles, result)
  })

test('a profile that is not there gets a suggestion, one for another machine the reason', async t => {
  const description = await readText(t, descriptionText({ rest: profiles }))
  const unknown = kauriErrorOf(t, () => select(description, { profiles: ['wbe'] }))
  t.is(unknown.code, 'USAGE')
  t.is(unknown.message, 'the description has no profile wbe; did you mean web?')
  t.is(unknown.hint, 'it has base, web, arm, db')
  const other = kauriErrorOf(t, () => select(description, { profiles: ['arm'] }))
  t.is(other.message, 'the profile arm is not for the machine x86_64')
})

test('later preferences win, and sections count only where selected', async t => {
  const description = await readText(
    t,
    descriptionText({
      preferences:
        '<version>1.0.0</version><packagemanager>apt</packagemanager><locale>en_US</locale><keytable>us</keytable><showlicense>a</showlicense>',
      rest: [
        '<profiles><profile name="de" description=""/></profiles>',
        '<preferences profiles="de"><version>1.0.1</version><locale>de_DE</locale><showlicense>b</showlicense></preferences>',
        '<preferences arch="aarch64"><keytable>fr</keytable></preferences>',
      ].join(''),
    }),
  )
  const plain = select(description)
  t.is(plain.version, '1.0.0')
  t.is(plain.settings.locale?.value, 'en_US')
  const german = select(description, { profiles: ['de'] })
  t.is(german.version, '1.0.1')
  t.is(german.settings.locale?.value, 'de_DE')
  t.is(german.settings.keytable?.value, 'us')
  t.deepEqual(german.settings.licenses, ['a', 'b'])
  t.is(select(description, { machine: 'aarch64' }).settings.keytable?.value, 'fr')
})

const types = '<type image="tbz"/><type image="oci" primary="true"/><type image="docker"/>'

const chosenTypes: readonly { type: string | undefined; expected: ImageTypeName }[] = [
  { type: undefined, expected: 'oci' },
  { type: 'docker', expected: 'docker' },
  { type: 'tbz', expected: 'tbz' },
]

for (const { type, expected } of chosenTypes)
  test(`with --type ${type ?? 'left out'} the type is ${expected}`, async t => {
    const description = await readText(t, descriptionText({ type: types }))
    t.is(select(description, { type }).typeName, expected)
  })

test('the first type is taken where none is primary', async t => {
  const description = await readText(
    t,
    descriptionText({ type: '<type image="tbz"/><type image="docker"/>' }),
  )
  t.is(select(description).typeName, 'tbz')
})

test('a type that is not there gets a suggestion', async t => {
  const description = await readText(t, descriptionText({ type: types }))
  const error = kauriErrorOf(t, () => select(description, { type: 'dokcer' }))
  t.is(error.code, 'USAGE')
  t.is(error.message, 'the description has no image type dokcer; did you mean docker?')
  t.is(error.hint, 'it has tbz, oci, docker')
})

test('types that only a profile selects are told with the profiles', async t => {
  const description = await readText(
    t,
    descriptionText({
      type: '',
      rest: '<profiles><profile name="a" description=""/></profiles><preferences profiles="a"><type image="docker"/></preferences>',
    }),
  )
  const error = kauriErrorOf(t, () => select(description))
  t.is(error.code, 'DESCRIPTION_INVALID')
  t.is(error.hint, 'choose a profile: a')
  t.is(select(description, { profiles: ['a'] }).typeName, 'docker')
})

test('one image type selected twice is refused with both places', async t => {
  const description = await readText(
    t,
    descriptionText({
      rest: '<profiles><profile name="a" description=""/></profiles><preferences profiles="a"><type image="docker"/></preferences>',
    }),
  )
  const error = kauriErrorOf(t, () => select(description, { profiles: ['a'] }))
  t.is(error.code, 'DESCRIPTION_INVALID')
  t.deepEqual(
    error.diagnostics.map(({ rule, where }) => [rule, where.line]),
    [
      ['type-repeated', 5],
      ['type-repeated', 8],
    ],
  )
})

test('packages are those of the phase, the type and the machine, sorted, each once, without the ignored', async t => {
  const description = await readText(
    t,
    descriptionText({
      packages: [
        '<packages type="bootstrap"><package name="apt"/><package name="apt"/></packages>',
        '<packages type="image" patternType="plusRecommended"><package name="z"/><package name="b" arch="aarch64"/><package name="a" arch="x86_64,aarch64"/><package name="c"/><ignore name="c"/></packages>',
        '<packages type="docker"><package name="d"/></packages>',
        '<packages type="oci"><package name="o"/></packages>',
        '<packages type="delete"><package name="y"/></packages>',
      ].join(''),
    }),
  )
  const { packages } = select(description)
  const names = (phase: keyof typeof packages): string[] =>
    packages[phase].packages.map(({ value }) => value)
  t.deepEqual(names('bootstrap'), ['apt'])
  t.deepEqual(names('image'), ['a', 'd', 'z'])
  t.deepEqual(names('delete'), ['y'])
  t.deepEqual(names('uninstall'), [])
  t.deepEqual(packages.image.ignored, ['c'])
  t.true(packages.image.recommended)
  t.false(packages.bootstrap.recommended)
})

test('the later of two sections that define a user wins', async t => {
  const description = await readText(
    t,
    descriptionText({
      rest: '<users><user name="a" password="*" shell="/bin/a"/></users><users><user name="a" password="*" shell="/bin/b"/></users>',
    }),
  )
  t.deepEqual(
    select(description).users.map(({ shell }) => shell),
    ['/bin/b'],
  )
})

const limits: readonly {
  title: string
  text: string
  options?: Partial<SelectOptions>
  findings: string[]
}[] = [
  {
    title: 'an image type that cannot be built',
    text: descriptionText({ type: '<type image="oem" filesystem="ext4"/>' }),
    findings: ['5:74'],
  },
  {
    title: 'everything that cannot be done, at once',
    text: descriptionText({
      type: '<type image="docker" derived_from="docker://debian" delta_root="true"/>',
      rest: '<containers source="x" backend="docker"><container name="a"/></containers>',
    }),
    findings: ['5:96', '5:125', '8:1'],
  },
  {
    title: 'a package manager that is not there',
    text: descriptionText({
      preferences: '<version>1.0.0</version><packagemanager>zypper</packagemanager>',
    }),
    findings: ['5:41'],
  },
]

for (const { title, text, options, findings } of limits)
  test(`${title} fails the build that selects it`, async t => {
    const description = await readText(t, text)
    const error: KauriError = kauriErrorOf(t, () => select(description, options))
    t.is(error.code, 'UNSUPPORTED')
    t.deepEqual(
      error.diagnostics.map(({ where }) => `${where.line}:${where.column}`),
      findings,
    )
    t.true(error.diagnostics.every(({ severity }) => severity === 'error'))
  })

test('what cannot be done does not matter to builds that do not select it', async t => {
  const description = await readText(
    t,
    descriptionText({
      type: '<type image="oem" filesystem="ext4"/><type image="docker"/>',
      rest: [
        '<profiles><profile name="a" description=""/></profiles>',
        '<containers source="x" backend="docker" profiles="a"><container name="a"/></containers>',
        '<packages type="image" arch="aarch64" bootstrap_package="x"/>',
      ].join(''),
    }),
  )
  t.is(select(description, { type: 'docker' }).typeName, 'docker')
  t.is(
    kauriErrorOf(t, () => select(description, { type: 'docker', profiles: ['a'] })).code,
    'UNSUPPORTED',
  )
  t.is(
    kauriErrorOf(t, () => select(description, { type: 'docker', machine: 'aarch64' })).code,
    'UNSUPPORTED',
  )
  t.is(kauriErrorOf(t, () => select(description)).code, 'UNSUPPORTED')
})

test('results are named NAME.MACHINE-VERSION', async t => {
  t.is(resultBaseName(select(await readText(t, descriptionText()))), 'test.x86_64-1.0.0')
})

for (const [what, preferences] of [
  ['<version>', '<packagemanager>apt</packagemanager>'],
  ['<packagemanager>', '<version>1.0.0</version>'],
] as const)
  test(`a ${what} that only an unselected profile has is missed`, async t => {
    const description = await readText(
      t,
      descriptionText({
        preferences,
        rest: '<profiles><profile name="a" description=""/></profiles><preferences profiles="a"><version>1.0.0</version><packagemanager>apt</packagemanager></preferences>',
      }),
    )
    const error = kauriErrorOf(t, () => select(description))
    t.is(error.code, 'DESCRIPTION_INVALID')
    t.true(error.message.includes(`no selected <preferences> has a ${what}`))
    t.is(select(description, { profiles: ['a'] }).version, '1.0.0')
  })

test('what apt has no notion of fails the build that selects it, where other package managers are there, too', async t => {
  const description = await readText(
    t,
    descriptionText({
      packages: '<packages type="image"><namedCollection name="base"/></packages>',
      rest: '<profiles><profile name="suse" description=""/></profiles><preferences profiles="suse"><packagemanager>zypper</packagemanager></preferences>',
    }),
  )
  const error = kauriErrorOf(t, () => select(description))
  t.is(error.code, 'UNSUPPORTED')
  t.is(error.message, 'apt has no package collections (namedCollection): base')
  t.is(error.where?.line, 7)
})
