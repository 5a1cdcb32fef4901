// The helper library runs in real shells, below a directory in place of the root.

import { spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { hasProgram } from '../helpers/needs.ts'
import { makeDirectory } from './make-description.ts'

const library = path.join(import.meta.dirname, '../../src/description/kconfig.sh')

interface ShellResult {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Shell {
  readonly root: string
  run(script: string, environment?: Readonly<Record<string, string>>): ShellResult
  has(file: string): boolean
  text(file: string): string
}

/** A root with these files, and stand-ins for programs that note how they were called in /calls. */
function makeRoot(
  t: ExecutionContext,
  shell: string,
  files: Readonly<Record<string, string>>,
): Shell {
  const programs = Object.fromEntries(
    ['systemctl', 'update-rc.d', 'rpm', 'depmod'].map(name => [
      `bin/${name}`,
      `#!/bin/sh\necho "${name} $*" >> "$KCONFIG_ROOT/calls"\n`,
    ]),
  )
  const modes = Object.fromEntries(
    [
      ...Object.keys(programs),
      ...Object.keys(files).filter(file => file.includes('init.d') || file.startsWith('bin/')),
    ].map(file => [file, 0o755]),
  )
  const root = makeDirectory(t, { ...programs, ...files }, modes)
  return {
    root,
    run: (script, environment = {}) => {
      const result = spawnSync(shell, ['-euc', `. ${library}\n${script}`], {
        env: {
          PATH: `${root}/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
          KCONFIG_ROOT: root,
          ...environment,
        },
        encoding: 'utf8',
        // With a socket there, bash takes itself for a remote shell and reads its start-up files.
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      return { status: result.status, stdout: result.stdout, stderr: result.stderr }
    },
    has: file => lstatSync(path.join(root, file), { throwIfNoEntry: false }) !== undefined,
    text: file => readFileSync(path.join(root, file), 'utf8'),
  }
}

const shells = ['bash', 'dash'].filter(hasProgram)

for (const shell of shells) {
  const inShell = (
    title: string,
    body: (t: ExecutionContext, make: (files: Record<string, string>) => Shell) => void,
  ): void => test(`${shell}: ${title}`, t => body(t, files => makeRoot(t, shell, files)))

  inShell('units and System V services are found', (t, make) => {
    const root = make({
      'usr/lib/systemd/system/ssh.service': '',
      'etc/systemd/system/data.mount': '',
      'etc/init.d/old': '',
    })
    t.is(
      root.run('baseSystemdServiceInstalled ssh').stdout,
      '/usr/lib/systemd/system/ssh.service\n',
    )
    t.is(root.run('baseSystemdServiceInstalled data').stdout, '/etc/systemd/system/data.mount\n')
    t.is(root.run('baseSystemdServiceInstalled ssh.service').status, 0)
    t.is(root.run('baseSystemdServiceInstalled no').status, 1)
    t.is(root.run('baseSysVServiceInstalled old').stdout, 'old\n')
    t.is(root.run('baseSysVServiceInstalled no').status, 1)
  })

  inShell('services are enabled and disabled', (t, make) => {
    const root = make({ 'usr/lib/systemd/system/ssh.service': '', 'etc/init.d/old': '' })
    t.is(
      root.run(
        'baseInsertService ssh; suseRemoveService ssh; baseService old on; suseService old off',
      ).status,
      0,
    )
    t.is(
      root.text('calls'),
      `systemctl --root=${root.root} enable ssh\nsystemctl --root=${root.root} disable ssh\nupdate-rc.d old enable\nupdate-rc.d old disable\n`,
    )
    const missing = root.run('baseInsertService no')
    t.is(missing.status, 1)
    t.is(missing.stderr, 'kconfig: service no is not installed\n')
    t.is(root.run('baseService ssh maybe').status, 1)
  })

  inShell('systemctl is called for installed units only', (t, make) => {
    const root = make({ 'usr/lib/systemd/system/ssh.service': '' })
    t.is(
      root.run('baseSystemdCall ssh.service mask --now; baseSystemdCall no.service mask').status,
      0,
    )
    t.is(root.text('calls'), `systemctl --root=${root.root} mask --now ssh.service\n`)
  })

  inShell('the run level becomes the default target', (t, make) => {
    const root = make({})
    for (const [level, target] of [
      ['1', 'rescue.target'],
      ['3', 'multi-user.target'],
      ['5', 'graphical.target'],
      ['kiosk.target', 'kiosk.target'],
    ]) {
      t.is(root.run(`baseSetRunlevel ${level}`).status, 0)
      t.is(
        readlinkSync(path.join(root.root, 'etc/systemd/system/default.target')),
        `/usr/lib/systemd/system/${target}`,
      )
    }
    t.is(root.run('baseSetRunlevel 9').status, 1)
  })

  inShell('a variable is set in its place, or at the end', (t, make) => {
    const root = make({ 'etc/sysconfig/x': '# A="0"\nAB="1"\nA="old"\nA="twice"\n' })
    const value = 'a "quoted" $HOME `id` \\ & | / value'
    t.is(
      root.run(
        'baseUpdateSysConfig /etc/sysconfig/x A "$VALUE"; baseUpdateSysConfig /etc/sysconfig/x NEW 1',
        { VALUE: value },
      ).status,
      0,
    )
    t.is(
      root.text('etc/sysconfig/x'),
      '# A="0"\nAB="1"\nA="a \\"quoted\\" \\$HOME \\`id\\` \\\\ & | / value"\nNEW="1"\n',
    )
    t.is(root.run(`. "$KCONFIG_ROOT/etc/sysconfig/x"; printf %s "$A"`).stdout, value)
    t.is(root.run('baseUpdateSysConfig /etc/none A 1').status, 1)
  })

  inShell('a file is quoted so that a shell reads its values', (t, make) => {
    const root = make({
      'etc/x': `# comment\nA=$(id)\nB="two words"\nC='it'\nD=it's\nE=\nnot a line\n`,
    })
    t.is(root.run('baseQuoteFile /etc/x').status, 0)
    t.is(
      root.text('etc/x'),
      `# comment\nA='$(id)'\nB='two words'\nC='it'\nD='it'\\''s'\nE=''\nnot a line\n`,
    )
  })

  inShell('the build day is that of the epoch', (t, make) => {
    const root = make({})
    root.run('baseSetupBuildDay', { SOURCE_DATE_EPOCH: '86400' })
    t.is(root.text('build_day'), 'build_day=19700102\n')
  })

  inShell('the installed product becomes the base product', (t, make) => {
    const root = make({ 'etc/products.d/a.prod': '', 'etc/products.d/openSUSE-Leap.prod': '' })
    t.is(root.run('suseSetupProduct').status, 0)
    t.is(readlinkSync(path.join(root.root, 'etc/products.d/baseproduct')), 'openSUSE-Leap.prod')
    t.is(make({}).run('suseSetupProduct').status, 0)
  })

  inShell('build keys are imported', (t, make) => {
    const root = make({ 'usr/lib/rpm/gnupg/keys/a.asc': '', 'usr/lib/rpm/gnupg/keys/b.txt': '' })
    t.is(root.run('suseImportBuildKey').status, 0)
    t.is(root.text('calls'), `rpm --import ${root.root}/usr/lib/rpm/gnupg/keys/a.asc\n`)
  })

  inShell('locales and translations are removed but those to keep', (t, make) => {
    const root = make({
      'usr/lib/locale/de_DE.utf8/x': '',
      'usr/lib/locale/C.utf8/x': '',
      'usr/lib/locale/fr_FR/x': '',
      'usr/share/locale/de/x': '',
      'usr/share/locale/fr/x': '',
      'usr/share/locale/locale.alias': '',
    })
    t.is(root.run('baseStripLocales de_DE en_US.UTF-8; baseStripTranslations de').status, 0)
    t.deepEqual(readdirSync(path.join(root.root, 'usr/lib/locale')).toSorted(), [
      'C.utf8',
      'de_DE.utf8',
    ])
    t.deepEqual(readdirSync(path.join(root.root, 'usr/share/locale')).toSorted(), [
      'de',
      'locale.alias',
    ])
  })

  inShell('what is on the list is kept, names with spaces too', (t, make) => {
    const root = make({ 'a b': '', c: '', '-d': '' })
    const list = ['a b', 'c', '-d'].map(name => `"${root.root}/${name}"`).join(' ')
    t.is(root.run(`printf '%s\\n' ${list} | baseStripAndKeep "a b"`).status, 0)
    t.true(root.has('a b'))
    t.false(root.has('c'))
    t.false(root.has('-d'))
  })

  inShell('tools and files of an initrd are stripped', (t, make) => {
    const root = make({
      'sbin/keep': '',
      'sbin/drop': '',
      'usr/share/info/x': '',
      'usr/lib/libused.so.1.0': '',
      'usr/lib/libunused.so.2': '',
      'usr/lib/libnamed.so.3': '',
      'usr/bin/program': '',
      'bin/ldd': '#!/bin/sh\necho "	libused.so.1 => /usr/lib/libused.so.1 (0x0)"\n',
    })
    symlinkSync('libused.so.1.0', path.join(root.root, 'usr/lib/libused.so.1'))
    const result = root.run('baseStripInitrd', {
      kiwi_strip_delete: '/usr/share/info',
      kiwi_strip_tools: 'keep program ldd systemctl update-rc.d rpm depmod',
      kiwi_strip_libs: 'libnamed',
    })
    t.is(result.status, 0, result.stderr)
    t.true(root.has('sbin/keep'))
    t.false(root.has('sbin/drop'))
    t.false(root.has('usr/share/info'))
    t.deepEqual(readdirSync(path.join(root.root, 'usr/lib')).toSorted(), [
      'libnamed.so.3',
      'libused.so.1',
      'libused.so.1.0',
    ])
  })

  inShell('kernel modules are reduced to the drivers and what they need', (t, make) => {
    const root = make({
      'lib/modules/6.1/kernel/drivers/net/e1000.ko': '',
      'lib/modules/6.1/kernel/drivers/net/other.ko.xz': '',
      'lib/modules/6.1/kernel/drivers/usb/a/hub.ko': '',
      'lib/modules/6.1/kernel/lib/crc.ko': '',
      'lib/modules/6.1/kernel/lib/base.ko': '',
      'lib/modules/6.1/modules.order': '',
      'bin/modinfo':
        '#!/bin/sh\nshift 2\nfor f; do case $f in */e1000.ko) echo crc ;; */crc.ko) echo base ;; *) echo ;; esac; done\n',
    })
    const result = root.run('baseStripKernel', { kiwi_drivers: 'drivers/usb/*,e1000' })
    t.is(result.status, 0, result.stderr)
    const left = readdirSync(path.join(root.root, 'lib/modules'), {
      recursive: true,
      encoding: 'utf8',
    })
    t.deepEqual(left.filter(file => /\.ko/.test(file)).toSorted(), [
      '6.1/kernel/drivers/net/e1000.ko',
      '6.1/kernel/drivers/usb/a/hub.ko',
      '6.1/kernel/lib/base.ko',
      '6.1/kernel/lib/crc.ko',
    ])
    t.true(root.text('calls').includes(`depmod -b ${root.root} 6.1`))
  })

  inShell('an updated module replaces the old one, and unused firmware goes', (t, make) => {
    const root = make({
      'lib/modules/6.1/kernel/net/a.ko': '',
      'lib/modules/6.1/updates/a.ko.zst': '',
      'lib/firmware/a/used.bin.xz': '',
      'lib/firmware/unused.bin': '',
      'bin/modinfo': '#!/bin/sh\necho a/used.bin\n',
    })
    const result = root.run('baseStripModules; baseStripFirmware')
    t.is(result.status, 0, result.stderr)
    t.false(root.has('lib/modules/6.1/kernel/net/a.ko'))
    t.true(root.has('lib/modules/6.1/updates/a.ko.zst'))
    t.true(root.has('lib/firmware/a/used.bin.xz'))
    t.false(root.has('lib/firmware/unused.bin'))
  })

  inShell('services without a meaning in containers are masked', (t, make) => {
    const root = make({ 'usr/lib/systemd/system/systemd-udevd.service': '' })
    t.is(root.run('setupContainerRuntime').status, 0)
    t.is(
      readlinkSync(path.join(root.root, 'etc/systemd/system/systemd-udevd.service')),
      '/dev/null',
    )
    t.false(root.has('etc/systemd/system/kbd.service'))
  })

  inShell('retired functions warn and go on', (t, make) => {
    const result = make({}).run('suseConfig; baseStripMans; baseMount; echo after')
    t.is(result.stdout, 'after\n')
    t.deepEqual(result.stderr.split('\n').slice(0, 3), [
      'kconfig: suseConfig was retired from KIWI and does nothing; use <keytable>, <locale> and <timezone>',
      'kconfig: baseStripMans was retired from KIWI and does nothing; use <rpm-excludedocs>',
      'kconfig: baseMount was retired from KIWI and does nothing; proc, sys and dev are mounted while a script runs',
    ])
  })

  inShell('messages are printed, debugging ones on request', (t, make) => {
    const root = make({})
    t.is(root.run('Echo a b; Debug c').stdout, 'a b\n')
    t.is(root.run('Debug c', { DEBUG: '1' }).stderr, '+++++> c\n')
    mkdirSync(path.join(root.root, 'x'))
    t.is(root.run(`Rm "$KCONFIG_ROOT/x" "$KCONFIG_ROOT/not there"`).status, 0)
    t.false(existsSync(path.join(root.root, 'x')))
  })
}

test('every function that KIWI documents is there', t => {
  const text = readFileSync(library, 'utf8')
  const names =
    'Debug Echo Rm Rpm baseCleanMount baseCleanup baseCreateKernelTree baseFixupKernelModuleDependencies baseGetPackagesForDeletion baseGetProfilesUsed baseInsertService baseKernelDriverMatches baseMount baseQuoteFile baseRemoveService baseService baseSetRunlevel baseSetupBuildDay baseSetupUserPermissions baseStripAndKeep baseStripDocs baseStripFirmware baseStripInfos baseStripInitrd baseStripKernel baseStripKernelModules baseStripLocales baseStripMans baseStripModules baseStripTools baseStripTranslations baseStripUnusedLibs baseSyncKernelTree baseSysVServiceInstalled baseSystemdCall baseSystemdServiceInstalled baseUpdateModuleDependencies baseUpdateSysConfig baseVagrantSetup debianStripInitrd debianStripKernel mountCgroups rhelSplashToGrub rhelStripInitrd rhelStripKernel setupContainerRuntime suseActivateDefaultServices suseCleanup suseConfig suseImportBuildKey suseInsertService suseRemoveService suseRemoveYaST suseService suseSetupProduct suseSetupProductInformation suseStripInitrd suseStripKernel umountCgroups'
  for (const name of names.split(' ')) t.regex(text, new RegExp(`^${name}\\(\\)`, 'm'), name)
})
