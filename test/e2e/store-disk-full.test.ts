// The disk full at each write of everything that writes to the store: one message, nothing half done, and the same command
// works once there is room. The disk is a small tmpfs in a mount namespace of its own. KAURI_EVERY_ROOM=1 tries each command
// with each amount of room.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import type { ExecutionContext } from 'ava'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { serveRegistry } from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { prepareWritings, type Writing } from './programs/store-kills.ts'

const megabytes = 24

interface SmallDisk extends AsyncDisposable {
  /** The data directory as other mount namespaces see it. */
  readonly seenAt: string
  readonly kauri: KauriProgram
}

/** A file system of few megabytes as the data directory, seen only by commands that are run through it. */
async function openSmallDisk(program: KauriProgram): Promise<SmallDisk> {
  const { dataRoot } = program
  mkdirSync(dataRoot, { recursive: true })
  const script = 'mount -t tmpfs -o "size=$1m,mode=711" tmpfs "$2" && echo ready && exec cat'
  const words = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh']
  const holder: ChildProcess = spawn('unshare', [...words, String(megabytes), dataRoot], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(holder.stdout ?? holder, 'data')
  // Also its root: in a chroot the namespace's own is another one.
  const own = `/proc/${holder.pid}`
  const through = ['nsenter', `--mount=${own}/ns/mnt`, `--root=${own}/root`, `--wd=${own}/cwd`]
  return {
    seenAt: path.join(`/proc/${holder.pid}/root`, dataRoot),
    kauri: { ...program, run: (args, input = {}) => program.run(args, { ...input, through }) },
    async [Symbol.asyncDispose]() {
      const closed = once(holder, 'close')
      holder.stdin?.end()
      await closed
    },
  }
}

/** Leaves that much room, to the page. */
function fill(disk: SmallDisk, freeBytes: number): void {
  const { bavail, bsize } = statfsSync(disk.seenAt)
  const size = Math.max(0, bavail * bsize - freeBytes)
  writeFileSync(path.join(disk.seenAt, 'filler'), new Uint8Array(size))
}

/** Bytes that are left, from a page to nearly enough. */
const rooms = [4, 12, 40, 200, 900, 1700].map(kibibytes => kibibytes * 1024)

/** None at all, and another one for each command. */
function roomsOf(number: number): readonly number[] {
  if (process.env['KAURI_EVERY_ROOM'] === '1') return [0, ...rooms]
  return [0, rooms[number % rooms.length] ?? 0]
}

async function check(t: ExecutionContext, { kauri }: SmallDisk, about: string): Promise<void> {
  const { code, stdout, stderr } = await kauri.run(['fsck', '--json'])
  t.is(code, 0, `${about}: ${stdout}${stderr}`)
  t.deepEqual(JSON.parse(stdout).findings, [], about)
}

/** True where there was too little room for the command. */
async function writeWithout(
  t: ExecutionContext,
  disk: SmallDisk,
  { writing, freeBytes }: { readonly writing: Writing; readonly freeBytes: number },
): Promise<boolean> {
  const { args, input, makes } = writing
  const about = `${args[0]} with ${freeBytes} bytes left`
  fill(disk, freeBytes)
  const { code, stderr } = await disk.kauri.run(args, input === undefined ? {} : { input })
  if (code !== 0) {
    t.is(code, 1, `${about}: ${stderr}`)
    t.regex(stderr, /no space left[^]*hint: free space/, about)
    t.is(stderr.match(/^kauri: /gm)?.length, 1, `${about}: ${stderr}`)
  }
  await check(t, disk, about)
  rmSync(path.join(disk.seenAt, 'filler'))
  const again = await disk.kauri.run(args, input === undefined ? {} : { input })
  t.is(again.code, 0, `${about}, then with room: ${again.stderr}`)
  if (makes.length > 0) {
    const verified = await disk.kauri.run(['verify', ...makes])
    t.is(verified.code, 0, `${about}: ${verified.stderr}`)
    await disk.kauri.run(['rmi', '-f', ...makes])
  }
  await disk.kauri.run(['gc', '--older-than', '0s', '--keep-storage', '0'])
  return code !== 0
}

testWith({ root: true, programs: ['unshare', 'nsenter'] })(
  'a disk that is full at any write costs nothing but the command',
  async t => {
    t.timeout(600_000)
    using program = kauriProgram()
    using scratch = makeScratch()
    await using registry = await serveRegistry()
    await using disk = await openSmallDisk(program)
    const writings = await prepareWritings({ ...disk, registry, directory: scratch.path })
    const failed = new Set<string>()
    for (const [number, word] of Object.keys(writings).entries())
      for (const [index, freeBytes] of roomsOf(number).entries()) {
        const writing = writings[word]?.(number * 100 + index)
        if (writing !== undefined && (await writeWithout(t, disk, { writing, freeBytes })))
          failed.add(word)
      }
    // Who only removes needs no room.
    t.deepEqual(failed, new Set(Object.keys(writings).filter(word => word !== 'gc')))
    const verified = await disk.kauri.run(['verify', 'seed'])
    t.is(verified.code, 0, verified.stderr)
  },
)
