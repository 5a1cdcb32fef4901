// A root file system of a few programs of this machine with the libraries they need: enough of a Linux to run commands
// in, made in a tenth of a second.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'

const programs = (
  'sh cat ls id env sleep stat mount hostname ip grep head mkdir touch rm ln chown dd true false kill pwd readlink wc ' +
  'seq stty tty mknod unshare umask find cp chmod tar sort date'
).split(' ')

const searchPath = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'

const files: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:An app:/home/app:/bin/sh\n',
  'etc/group': 'root:x:0:\napp:x:1000:\nextra:x:2000:app\nother:x:2001:\n',
  'home/app/.keep': '',
  'root/.keep': '',
}

/** Fills a directory. Programs are in /bin, a link to usr/bin. */
export function makeSmallRoot(root: string): void {
  for (const directory of ['usr/bin', 'usr/lib', 'usr/lib64', 'etc', 'home/app', 'root', 'var'])
    mkdirSync(path.join(root, directory), { recursive: true })
  mkdirSync(path.join(root, 'tmp'))
  chmodSync(path.join(root, 'tmp'), 0o1777)
  // a temporary directory is nobody else's
  chmodSync(root, 0o755)
  for (const name of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, path.join(root, name))
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(root, file), text)
  const copied = new Set<string>()
  for (const name of programs) {
    const program = findProgram(name)
    if (program === undefined) continue
    copyFileSync(program, path.join(root, 'usr/bin', name))
    for (const library of librariesOf(program)) copied.add(library)
  }
  for (const library of copied) copyLibrary(root, library)
}

/** Puts one more program into such a root, with its libraries; `target` is its path there. */
export function copyProgram(root: string, program: string, target: string): void {
  mkdirSync(path.dirname(path.join(root, target)), { recursive: true })
  copyFileSync(program, path.join(root, target))
  for (const library of librariesOf(program)) copyLibrary(root, library)
}

function findProgram(name: string): string | undefined {
  const found = searchPath
    .split(':')
    .map(directory => path.join(directory, name))
    .find(existsSync)
  return found === undefined ? undefined : realpathSync(found)
}

function librariesOf(program: string): string[] {
  const text = execFileSync('ldd', [program], { encoding: 'utf8' })
  return [...text.matchAll(/(\/[^\s]+\.so[^\s]*)/g)].map(([, library = '']) => library)
}

/** To the path that the loader looks at, through the root's own links. */
function copyLibrary(root: string, library: string): void {
  const target = path.join(root, library.startsWith('/usr/') ? library : `usr${library}`)
  mkdirSync(path.dirname(target), { recursive: true })
  copyFileSync(realpathSync(library), target)
}

/** The root as a tar. */
export function tarOfRoot(root: string): Buffer {
  return execFileSync('tar', ['-C', root, '-cf', '-', '.'], { maxBuffer: 256 * 1024 * 1024 })
}
