'use strict'
// Where kauri starts. Plain CommonJS on purpose: the first TypeScript file costs 26 ms for loading Node's type stripper
// (Node itself starts in 21), and the hundred modules of a command half a millisecond each. So --version is answered
// here, and everything else runs from one file that is made of the sources whenever they have changed.

const { mkdirSync, readFileSync, statSync, writeSync } = require('node:fs')
const { enableCompileCache } = require('node:module')
const { dirname } = require('node:path')

const root = dirname(__dirname)

/** Code is kept where only the caller, or root, writes: what lies there is run. */
function cacheDirectory() {
  const { HOME = '/nonexistent', KAURI_CACHE_DIR, XDG_CACHE_HOME } = process.env
  if (KAURI_CACHE_DIR) return KAURI_CACHE_DIR
  if (process.geteuid() === 0) return '/var/cache/kauri'
  return `${XDG_CACHE_HOME || `${HOME}/.cache`}/kauri`
}

/** The cache, made where it is missing; undefined where others could put code into it. */
function openCache() {
  const directory = cacheDirectory()
  try {
    const found = statSync(directory, { throwIfNoEntry: false })
    if (found === undefined) mkdirSync(directory, { recursive: true, mode: 0o755 })
    const { uid, mode } = found ?? statSync(directory)
    const isOwn = uid === 0 || uid === process.geteuid()
    return isOwn && (mode & 0o022) === 0 ? directory : undefined
  } catch {
    return undefined
  }
}

/** Node leaves the modes of what it makes to the umask, which may let everybody write. */
function keepCompiled(directory) {
  const umask = process.umask(0o022)
  enableCompileCache(directory)
  process.umask(umask)
}

/** The bundle, where it was made of the sources as they are now. */
function freshBundle(directory) {
  try {
    const { program, inputs } = JSON.parse(readFileSync(`${directory}/current.json`, 'utf8'))
    for (const [file, size, mtimeMs, ctimeMs, ino] of inputs) {
      const stat = statSync(`${root}/${file}`)
      if (stat.size !== size || stat.mtimeMs !== mtimeMs) return undefined
      // Files of packages all carry the same time; replaced ones are others.
      if (stat.ctimeMs !== ctimeMs || stat.ino !== ino) return undefined
    }
    return require(`${directory}/${program}`)
  } catch {
    return undefined
  }
}

/** Makes it anew; what cannot be bundled, or written, runs from its sources. */
function makeBundle(directory) {
  try {
    const { execFileSync } = require('node:child_process')
    const words = [`${__dirname}/bundle.cjs`, directory]
    execFileSync(process.execPath, words, { stdio: 'ignore', env: {}, timeout: 30_000 })
  } catch {
    return undefined
  }
  return freshBundle(directory)
}

async function loadProgram(args) {
  const cache = openCache()
  if (cache !== undefined) keepCompiled(`${cache}/node`)
  // Stack traces and coverage speak of the sources.
  const wantsSources = args.includes('--debug') || Boolean(process.env.NODE_V8_COVERAGE)
  if (cache !== undefined && !wantsSources) {
    const directory = `${cache}/program/${encodeURIComponent(root)}`
    const program = freshBundle(directory) ?? makeBundle(directory)
    if (program !== undefined) return program
  }
  return await import('../src/cli/main.ts')
}

const args = process.argv.slice(2)
if (args.length === 1 && (args[0] === '--version' || args[0] === '-v')) {
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
  writeSync(1, `kauri ${version}\n`)
} else {
  void loadProgram(args).then(program => program.runAsProcess(args))
}
