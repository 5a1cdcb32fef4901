import { execFileSync } from 'node:child_process'
import test from 'ava'
import { profileText, profileVariables } from '../../src/description/profile-variables.ts'
import { selectDescription } from '../../src/description/select-description.ts'
import { descriptionText, readText } from './make-description.ts'

test('scripts see the variables that they see under KIWI', async t => {
  const description = await readText(
    t,
    descriptionText({
      imageAttributes: ` displayname="It's $x"`,
      preferences:
        '<version>1.2.3</version><packagemanager>apt</packagemanager><locale>en_US,de_DE</locale><keytable>us</keytable><timezone>UTC</timezone><bootsplash-theme>bgrt</bootsplash-theme><bootloader-theme>x</bootloader-theme><showlicense>a</showlicense><showlicense>b</showlicense>',
      packages: '<packages type="delete"><package name="z"/><package name="y"/></packages>',
      rest: [
        '<profiles><profile name="p" description="" import="true"><requires profile="q"/></profile><profile name="q" description=""/></profiles>',
        '<drivers><file name="drivers/x/*"/><file name="e1000"/></drivers>',
        '<strip type="delete"><file name="/a"/></strip><strip type="delete"><file name="/b"/></strip><strip type="libs" profiles="q"><file name="libz"/></strip>',
      ].join(''),
    }),
  )
  const variables = profileVariables(
    selectDescription(description, { profiles: [], machine: 'x86_64' }),
  )
  const expected: Record<string, string> = {
    kiwi_delete: 'y z',
    kiwi_displayname: "It's $x",
    kiwi_drivers: 'drivers/x/*,e1000',
    kiwi_iname: 'test',
    kiwi_initrd_system: 'none',
    kiwi_iversion: '1.2.3',
    kiwi_keytable: 'us',
    kiwi_language: 'en_US,de_DE',
    kiwi_loader_theme: 'x',
    kiwi_profiles: 'p,q',
    kiwi_showlicense: 'a',
    kiwi_splash_theme: 'bgrt',
    kiwi_strip_delete: '/a /b',
    kiwi_strip_libs: 'libz',
    kiwi_strip_tools: '',
    kiwi_timezone: 'UTC',
    kiwi_type: 'docker',
    kiwi_align: '1048576',
    kiwi_compressed: '',
  }
  for (const [name, value] of Object.entries(expected)) t.is(variables.get(name), value, name)
  t.deepEqual([...variables.keys()], [...variables.keys()].toSorted())
})

test('a shell reads every value back as it is', t => {
  const variables = new Map([
    ['kiwi_a', `it's "quoted" \`date\` $(id) \\ $HOME`],
    ['kiwi_b', ' spaces  and\ttab '],
    ['kiwi_c', ''],
    ['kiwi_d', "'''"],
    ['kiwi_e', 'grün; rm -rf /'],
  ])
  const script = `${profileText(variables)}for n in a b c d e; do eval "printf '%s\\0' \\"\\$kiwi_$n\\""; done`
  const read = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' })
  t.deepEqual(read.split('\0').slice(0, -1), [...variables.values()])
})
