import test from 'ava'
import { briefly, descriptionText, findingsOf, type Parts } from './make-description.ts'

interface Case {
  readonly title: string
  readonly parts: Parts
  readonly findings: readonly string[]
  readonly says?: string
  readonly hint?: string
  readonly files?: Readonly<Record<string, string>>
}

const container = (content: string, attributes = 'name="app"'): Parts => ({
  preferences: '<version>1.0.0</version><packagemanager>apt</packagemanager>',
  type: `\n<type image="docker"><containerconfig ${attributes}>\n${content}\n</containerconfig></type>`,
})
const profiles = (content: string, rest = ''): Parts => ({
  rest: `<profiles>\n${content}\n</profiles>\n${rest}`,
})
const profile = (name: string, requires = ''): string =>
  `<profile name="${name}" description="d">${requires === '' ? '' : `<requires profile="${requires}"/>`}</profile>`
const user = (attributes: string): Parts => ({
  rest: `<users><user name="tux" ${attributes}/></users>`,
})

const cases: readonly Case[] = [
  {
    title: 'a description without a version',
    parts: { preferences: '<packagemanager>apt</packagemanager>' },
    findings: ['2:1 version-missing'],
  },
  {
    title: 'a version that is no part of a file name',
    parts: { preferences: '<version>1.0/../x</version><packagemanager>apt</packagemanager>' },
    findings: ['5:10 version-form'],
  },
  {
    title: 'a version of another form than three numbers',
    parts: { preferences: '<version>42.3</version><packagemanager>apt</packagemanager>' },
    findings: ['5:10 version-unusual'],
  },
  {
    title: 'a description without a package manager',
    parts: { preferences: '<version>1.0.0</version>' },
    findings: ['2:1 package-manager-missing'],
  },
  { title: 'a description without a type', parts: { type: '' }, findings: ['2:1 type-missing'] },
  {
    title: 'two types for one image type in one section',
    parts: { type: '<type image="docker"/>\n<type image="docker"/>' },
    findings: ['6:1 type-repeated'],
  },
  {
    title: 'a name in upper case',
    parts: container('', 'name="Demo/App"'),
    findings: ['6:45 image-name'],
    says: '"Demo/App" is not the name of an image',
    hint: 'names are lower case: write demo/app',
  },
  {
    title: 'a name with a space',
    parts: container('', 'name="my app"'),
    findings: ['6:45 image-name'],
  },
  {
    title: 'a tag that begins with a dot',
    parts: container('', 'name="a" tag=".x"'),
    findings: ['6:53 image-tag'],
  },
  {
    title: 'additional names, each at its own place',
    parts: container('', 'name="a" additionalnames=":1.0, b:2, C:3,:@,example.org:5000/x/y"'),
    findings: ['6:76 image-name', '6:80 image-tag'],
  },
  {
    title: 'ports outside of 1 to 65535',
    parts: container(
      '<expose><port number="80"/><port number="99999"/>\n<port number="0/udp"/><port number="65535/sctp"/></expose>',
    ),
    findings: ['7:42 port-invalid', '8:15 port-invalid'],
  },
  {
    title: 'ports that are none',
    parts: container('<expose><port number="80/http"/></expose>'),
    findings: ['7:23 value-invalid'],
  },
  {
    title: 'relative paths of volumes and the working directory',
    parts: container('<volumes><volume name="data"/></volumes>', 'name="a" workingdir="srv"'),
    findings: ['6:60 path-relative', '7:24 path-relative'],
  },
  {
    title: 'variables with an equals sign or given twice',
    parts: container(
      '<environment><env name="A=B" value=""/><env name="C" value="1"/><env name="C" value="2"/></environment>',
    ),
    findings: ['7:25 environment-name', '7:76 entry-repeated'],
  },
  {
    title: 'history of Windows images on others',
    parts: container('<history application_id="x">text</history>'),
    findings: ['6:22 without-effect'],
  },
  {
    title: 'an undefined profile in a section, with a suggestion',
    parts: profiles(
      profile('static'),
      '<users profiles="static, sttic"><user name="a" password="*"/></users>',
    ),
    findings: ['11:26 profile-undefined'],
    says: 'there is no profile sttic; did you mean static?',
  },
  {
    title: 'an undefined profile in a requirement',
    parts: profiles(profile('a', 'b')),
    findings: ['9:54 profile-undefined'],
  },
  {
    title: 'a profile that is defined twice',
    parts: profiles(`${profile('a')}\n${profile('a')}`),
    findings: ['10:16 profile-repeated'],
  },
  {
    title: 'profiles that require each other',
    parts: profiles(
      [profile('a', 'b'), profile('b', 'c'), profile('c', 'a'), profile('d', 'a')].join('\n'),
    ),
    findings: ['11:54 profile-cycle'],
    says: 'profiles require each other: a → b → c → a',
  },
  {
    title: 'a profile that requires itself',
    parts: profiles(profile('a', 'a')),
    findings: ['9:54 profile-cycle'],
  },
  {
    title: 'a password that is no hash, without showing it',
    parts: user('password="secret"'),
    findings: ['8:35 password-form'],
    says: 'the password of tux is not a crypt hash',
  },
  {
    title: 'a hash that could add a line to /etc/shadow',
    parts: user('password="$6$a$b:0:0"'),
    findings: ['8:35 password-form'],
  },
  {
    title: 'an MD5 hash',
    parts: user('password="$1$xyz$abcdefghijklmnopqrstuv"'),
    findings: ['8:35 password-weak'],
  },
  { title: 'a locked account', parts: user('password="!"'), findings: [] },
  { title: 'a plain password', parts: user('password="a b:c" pwdformat="plain"'), findings: [] },
  {
    title: 'names, homes and shells that would break /etc/passwd',
    parts: user('password="*" home="/x:y" shell="bash" realname="a:b"'),
    findings: ['8:44 value-invalid', '8:57 value-invalid', '8:73 value-invalid'],
  },
  {
    title: 'a user without a name',
    parts: { rest: '<users><user password="*"/></users>' },
    findings: ['8:8 attribute-missing'],
  },
  {
    title: 'a user that is defined twice',
    parts: { rest: '<users><user name="a" password="*"/><user name="a" password="*"/></users>' },
    findings: ['8:37 user-repeated'],
  },
  {
    title: 'collections, products and modules with apt',
    parts: {
      packages:
        '<packages type="image"><namedCollection name="a"/><product name="b"/></packages>\n<packages type="bootstrap"><collectionModule name="c" enable="true"/></packages>',
    },
    findings: [
      '7:114 package-manager-cannot',
      '7:133 package-manager-cannot',
      '8:52 package-manager-cannot',
    ],
  },
  {
    title: 'preferences that mean nothing to apt',
    parts: {
      preferences:
        '<version>1.0.0</version><packagemanager>apt</packagemanager>\n<rpm-locale-filtering>true</rpm-locale-filtering>\n<release-version>12</release-version>\n<rpm-check-signatures>false</rpm-check-signatures>\n',
    },
    findings: ['6:23 without-effect', '7:18 without-effect', '8:23 signatures-checked'],
  },
  {
    title: 'signatures that are switched off',
    parts: {
      repository:
        '<repository repository_gpgcheck="false"><source path="http://me:pw@example.org/debian"/></repository>',
    },
    findings: ['7:55 signatures-off'],
    says: 'the signatures of http://me:***@example.org/debian are not checked',
  },
  {
    title: 'package signatures and user names where nobody asks for them',
    parts: {
      repository:
        '<repository type="apt-deb" package_gpgcheck="true" username="me"><source path="dir:///srv/x"/></repository>',
    },
    findings: ['7:1 without-effect', '7:1 without-effect'],
  },
  {
    title: 'an alias that is no part of a file name',
    parts: { repository: '<repository alias="../x"><source path="/srv/x"/></repository>' },
    findings: ['7:20 value-invalid'],
  },
  {
    title: 'a certificate that is not there',
    parts: {
      rest: '<certificates target_distribution="debian"><certificate name="own.pem"/><certificate name="b.crt"/></certificates>',
    },
    files: { 'b.crt': '' },
    findings: ['8:63 file-missing'],
  },
  {
    title: 'archives and files that are not there',
    parts: {
      packages:
        '<packages type="image"><archive name="a.tar"/><file name="b"/><file name="c"/><archive name="d"/></packages>',
    },
    files: { c: '', 'd/': '' },
    findings: ['7:106 file-missing', '7:126 file-missing', '7:161 file-missing'],
  },
  {
    title: 'files outside of the description',
    parts: {
      packages:
        '<packages type="image"><file name="/etc/shadow"/><file name="a/../../b"/></packages>',
    },
    findings: ['7:103 file-outside', '7:129 file-outside'],
  },
  {
    title: 'scripts with Windows line endings',
    parts: {},
    files: { 'config.sh': '#!/bin/sh\r\nexit 0\r\n', 'images.sh': '#!/bin/sh\nexit 0\n' },
    findings: ['1:1 script-line-endings'],
  },
]

for (const { title, parts, findings, says, hint, files } of cases)
  test(`${title}: ${findings.length === 0 ? 'fine' : findings.map(one => one.split(' ')[1]).join(', ')}`, async t => {
    const found = await findingsOf(t, descriptionText(parts), files)
    t.deepEqual(briefly(found), findings)
    if (says !== undefined) t.is(found[0]?.message, says)
    if (hint !== undefined) t.is(found[0]?.hint, hint)
  })
