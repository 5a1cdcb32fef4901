import test from 'ava'
import { briefly, descriptionText, findingsOf, readText } from './make-description.ts'

interface Case {
  readonly title: string
  readonly version: string
  readonly text: string
  readonly findings: readonly string[]
  readonly says?: string
}

const preferences = '<version>1.0.0</version><packagemanager>apt</packagemanager>'

const cases: readonly Case[] = [
  {
    title: 'additionaltags is read as additionalnames before 7.5',
    version: '7.4',
    text: descriptionText({
      schemaVersion: '7.4',
      type: '<type image="docker"><containerconfig name="a" additionaltags="x,y"/></type>',
    }),
    findings: ['5:108 schema-upgrade'],
    says: '7.4 → 8.5: additionaltags="a,b" became additionalnames=":a,:b"',
  },
  {
    title: 'additionaltags is unknown since 7.5, and the hint says why',
    version: '7.5',
    text: descriptionText({
      type: '<type image="docker"><containerconfig name="a" additionaltags="x,y"/></type>',
    }),
    findings: ['5:108 attribute-unknown'],
  },
  {
    title: 'package managers have their old names',
    version: '7.3',
    text: descriptionText({
      schemaVersion: '7.3',
      preferences: '<version>1.0.0</version><packagemanager>apt-get</packagemanager>',
    }),
    findings: ['5:41 schema-upgrade'],
  },
  {
    title: 'yum becomes dnf and that dnf4, each with its note',
    version: '7.3',
    text: descriptionText({
      schemaVersion: '7.3',
      preferences: '<version>1.0.0</version><packagemanager>yum</packagemanager>',
    }),
    findings: ['5:41 schema-upgrade', '5:41 schema-upgrade', '5:41 not-supported'],
  },
  {
    title: 'a console is told as output_console and input_console',
    version: '8.3',
    text: descriptionText({
      schemaVersion: '8.3',
      type: '<type image="oem" filesystem="xfs"><bootloader name="grub2" console="serial gfx"/></type>',
    }),
    findings: ['5:74 not-supported', '5:121 schema-upgrade'],
  },
  {
    title: 'what was removed is left out',
    version: '8.1',
    text: descriptionText({
      schemaVersion: '8.1',
      type: '<type image="oem" filesystem="xfs" vga="791" btrfs_root_is_snapshot="true"/>',
      repository:
        '<repository use_for_bootstrap="true"><source path="http://example.org/x"/></repository>',
    }),
    findings: [
      '5:74 not-supported',
      '5:96 schema-upgrade',
      '5:106 schema-upgrade',
      '7:13 schema-upgrade',
    ],
  },
]

for (const { title, text, findings, says } of cases)
  test(title, async t => {
    const found = await findingsOf(t, text)
    t.deepEqual(briefly(found), findings)
    if (says !== undefined) t.is(found[0]?.message, says)
  })

test('upgraded values are what the description holds', async t => {
  const description = await readText(
    t,
    descriptionText({
      schemaVersion: '7.3',
      preferences: '<version>1.0.0</version><packagemanager>apt-get</packagemanager>',
      type: '<type image="docker"><containerconfig name="a" additionaltags="x, y"/></type>',
    }),
  )
  t.is(description.preferences[0]?.packageManager?.value, 'apt')
  t.deepEqual(
    description.preferences[0]?.types[0]?.containerConfig?.additionalNames.map(
      ({ value }) => value,
    ),
    [':x', ':y'],
  )
  t.is(description.schemaVersion, '7.3')
})

for (const version of ['6.8', '7.0', '7.4', '7.6', '8.0', '8.4', '8.5'])
  test(`schema version ${version} is read`, async t => {
    t.deepEqual(
      briefly(await findingsOf(t, descriptionText({ schemaVersion: version, preferences }))),
      [],
    )
  })

for (const version of ['8.6', '5.1', '6.1', 'new'])
  test(`schema version ${version} is refused`, async t => {
    const [finding] = await findingsOf(t, descriptionText({ schemaVersion: version }))
    t.is(finding?.rule, 'schema-version')
    t.is(finding?.message, `the schema version ${version} is not supported`)
    t.is(finding?.hint, 'versions 6.8 to 8.5 are read')
  })
