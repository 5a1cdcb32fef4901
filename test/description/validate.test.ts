import test from 'ava'
import { briefly, descriptionText, findingsOf, type Parts } from './make-description.ts'

interface Case {
  readonly title: string
  readonly parts: Parts
  readonly findings: readonly string[]
  /** What the first finding says. */
  readonly says?: string
  readonly hint?: string
}

const cases: readonly Case[] = [
  { title: 'a small description is fine', parts: {}, findings: [] },
  {
    title: 'an unknown element gets a suggestion',
    parts: { packages: '<packges type="image"/>' },
    findings: ['7:68 element-unknown'],
    says: 'unknown element <packges>; did you mean <packages>?',
  },
  {
    title: 'an element at the wrong place is told where it belongs',
    parts: { rest: '<package name="x"/>' },
    findings: ['8:1 element-misplaced'],
    says: '<package> does not belong into <image>',
    hint: 'it belongs into <packages>',
  },
  {
    title: 'an unknown attribute gets a suggestion',
    parts: { packages: '<packages type="image"><package nam="x"/></packages>' },
    findings: ['7:91 attribute-missing', '7:100 attribute-unknown'],
  },
  {
    title: 'all findings come at once',
    parts: {
      type: '<type imag="docker"/>',
      packages: '<packages type="imge"><package/></packages>',
      rest: '<users/><userz/>',
    },
    findings: [
      '5:61 attribute-missing',
      '5:67 attribute-unknown',
      '7:84 value-invalid',
      '7:90 attribute-missing',
      '8:1 element-missing',
      '8:9 element-unknown',
    ],
  },
  {
    title: 'a word that is not one of those allowed gets a suggestion',
    parts: { type: '<type image="dokcer"/>' },
    findings: ['5:74 value-invalid'],
    says: '"dokcer" is not an image type; did you mean "docker"?',
  },
  {
    title: 'a word near none of those allowed gets the list',
    parts: { packages: '<packages type="everything"/>' },
    findings: ['7:84 value-invalid'],
    hint: 'one of bootstrap, image, delete, uninstall, docker, oci, iso, oem, pxe, kis, systemfiles',
  },
  {
    title: 'an element that may be there once is told when it comes again',
    parts: {
      preferences:
        '<version>1.0.0</version>\n<version>2.0.0</version><packagemanager>apt</packagemanager>',
    },
    findings: ['6:1 element-repeated'],
    hint: 'the first is in line 5',
  },
  {
    title: 'text between elements is told',
    parts: { rest: '  hello\n' },
    findings: ['8:3 text-misplaced'],
  },
  {
    title: 'text in an element that holds nothing is told',
    parts: { packages: '<packages type="image"><package name="x">y</package></packages>' },
    findings: ['7:109 text-misplaced'],
  },
  {
    title: 'CDATA counts as text',
    parts: {
      preferences: '<version><![CDATA[1.2.3]]></version><packagemanager>apt</packagemanager>',
    },
    findings: [],
  },
  {
    title: 'a missing child is told at its parent',
    parts: { repository: '<repository/>' },
    findings: ['7:1 element-missing'],
    says: '<repository> needs <source>',
  },
  {
    title: 'an attribute for other image types is told',
    parts: { type: '<type image="tbz" derived_from="docker://debian"/>' },
    findings: ['5:79 attribute-misplaced', '5:93 not-supported'],
    says: 'derived_from has no meaning for the image type tbz',
  },
  {
    title: 'namespaces and schema locations are no attributes of the schema',
    parts: {
      imageAttributes:
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="x.xsd"',
    },
    findings: [],
  },
  {
    title: 'extensions hold anything',
    parts: {
      rest: '<extension><x:a xmlns:x="http://example.org/x" b="c">text<x:d/></x:a></extension>',
    },
    findings: [],
  },
  {
    title: 'names for people are free, also with spaces',
    parts: { imageAttributes: ' id="abc" displayname="Any Thing"' },
    findings: [],
  },
  {
    title: 'a command needs a program, or to be cleared',
    parts: {
      type: '<type image="docker"><containerconfig name="a"><entrypoint/><subcommand clear="1"/></containerconfig></type>',
    },
    findings: ['5:108 attribute-missing'],
    says: '<entrypoint> needs execute or clear',
  },
  {
    title: 'a container configuration belongs to container images',
    parts: { type: '<type image="tbz"><containerconfig name="a"/></type>' },
    findings: ['5:79 element-misplaced'],
    says: '<containerconfig> has no meaning for the image type tbz',
  },
  {
    title: 'a disk needs a file system, and an encrypted one its key',
    parts: { type: '<type image="oem"><luksformat><option name="--cipher"/></luksformat></type>' },
    findings: ['5:61 attribute-missing', '5:61 attribute-missing', '5:74 not-supported'],
  },
  {
    title: 'modules belong into the bootstrap section',
    parts: {
      preferences: '<version>1.0.0</version><packagemanager>dnf4</packagemanager>',
      packages: '<packages type="image"><collectionModule name="a" enable="true"/></packages>',
    },
    findings: ['5:41 not-supported', '7:115 element-misplaced'],
  },
  {
    title: 'one and zero are true and false',
    parts: { type: '<type image="docker" primary="1"/>' },
    findings: [],
  },
  {
    title: 'architectures are known words',
    parts: { packages: '<packages type="image" arch="x86_64,amd65"/>' },
    findings: ['7:97 value-invalid'],
    says: '"x86_64,amd65" is not a list of architectures',
  },
  {
    title: 'a locale has the form xx_YY',
    parts: {
      preferences:
        '<version>1.0.0</version><packagemanager>apt</packagemanager><locale>en_US,german</locale>',
    },
    findings: ['5:69 value-invalid'],
  },
  {
    title: 'permissions are octal',
    parts: {
      packages:
        '<packages type="image"><file name="config.xml" permissions="rw-r--r--"/></packages>',
    },
    findings: ['7:128 value-invalid'],
  },
  {
    title: 'what is valid but cannot be built is a warning',
    parts: {
      type: '<type image="oem" filesystem="ext4" firmware="uefi"><oemconfig><oem-resize>true</oem-resize></oemconfig><bootloader name="grub2"/></type>',
      preferences: '<version>1.0.0</version><packagemanager>zypper</packagemanager>',
    },
    findings: ['5:41 not-supported', '5:77 not-supported'],
    says: 'the package manager zypper is not supported; kauri supports apt',
  },
  {
    title: 'repositories of schemes that nobody can read are a warning',
    parts: { repository: '<repository><source path="obs://Virtualization/Debian"/></repository>' },
    findings: ['7:27 not-supported'],
  },
  {
    title: 'container images inside of images are told as not supported',
    parts: {
      rest: '<containers source="docker.io" backend="podman"><container name="a"/></containers>',
    },
    findings: ['8:1 not-supported'],
  },
]

for (const { title, parts, findings, says, hint } of cases)
  test(title, async t => {
    const found = await findingsOf(t, descriptionText(parts))
    t.deepEqual(briefly(found), findings)
    if (says !== undefined) t.is(found[0]?.message, says)
    if (hint !== undefined) t.is(found[0]?.hint, hint)
  })

test('the line and its caret come with a finding', async t => {
  const [finding] = await findingsOf(t, descriptionText({ rest: '\t<userz/>' }))
  t.is(finding?.excerpt, '\t<userz/>')
  t.is(finding?.where.column, 2)
})

test('passwords do not show in the lines of findings', async t => {
  const found = await findingsOf(
    t,
    descriptionText({
      repository:
        '<repository typ="x" username="me" password="tops3cret"><source path="http://me:hidd3n@example.org/x"/></repository>',
    }),
  )
  t.deepEqual(briefly(found), ['7:13 attribute-unknown'])
  t.is(
    found[0]?.excerpt?.split('</')[0],
    '<repository typ="x" username="me" password="*********"><source path="http://me:******@example.org/x"/>',
  )
})

test('another first element is refused', async t => {
  t.deepEqual(briefly(await findingsOf(t, '<packages type="image"/>')).slice(0, 1), [
    '1:1 element-misplaced',
  ])
  t.deepEqual(briefly(await findingsOf(t, '<html/>')).slice(0, 1), ['1:1 element-unknown'])
})

test('ten thousand errors end in a bounded report', async t => {
  const found = await findingsOf(t, descriptionText({ rest: '<x/>'.repeat(10_000) }))
  t.is(found.length, 500)
})
