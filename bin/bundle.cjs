'use strict'
// Makes one file of src/cli/main.ts and all that it imports; modules stay lazy in it. `bundle.cjs DIRECTORY` leaves
// there the program and current.json: its name, and what the sources looked like, by which kauri.cjs knows it is fresh.

const esbuild = require('esbuild')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')

const root = path.dirname(__dirname)
/** The last one may be in use by a command that has just begun. */
const keptPrograms = 2

async function bundle(directory) {
  const inputs = []
  const { outputFiles } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: ['src/cli/main.ts'],
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    target: 'node26',
    packages: 'external',
    // Half the text to read and to check; names stay, since people read them in messages.
    minify: true,
    keepNames: true,
    // import() would look for packages beside the bundle; the require that is set below looks beside the sources.
    supported: { 'dynamic-import': false },
    banner: { js: lazyRequire() },
    logLevel: 'silent',
    plugins: [noteSources(inputs)],
  })
  publish(directory, outputFiles[0].text, inputs)
}

/** Notes each source before it is read: a change in between makes the bundle stale, never wrong. */
function noteSources(inputs) {
  const load = ({ path: file }) => {
    const { size, mtimeMs, ctimeMs, ino } = fs.statSync(file)
    inputs.push([path.relative(root, file), size, mtimeMs, ctimeMs, ino])
    return { contents: withPlaces(fs.readFileSync(file, 'utf8'), file), loader: 'ts' }
  }
  return { name: 'sources', setup: plugin => plugin.onLoad({ filter: /\.ts$/ }, load) }
}

/** CommonJS has no import.meta; what the sources ask of it is where they are. */
function withPlaces(source, file) {
  return source
    .replaceAll('import.meta.dirname', JSON.stringify(path.dirname(file)))
    .replaceAll('import.meta.filename', JSON.stringify(file))
    .replaceAll('import.meta.url', JSON.stringify(`file://${encodeURI(file)}`))
}

/**
 * Packages are those of the checkout, though the bundle lies elsewhere. Node's own modules are loaded when something of
 * them is used: node:crypto alone takes 5 ms, and many commands have it in their modules and never need it.
 */
function lazyRequire() {
  const entry = JSON.stringify(path.join(root, 'src/cli/main.ts'))
  return `'use strict'
const requireNow = require('node:module').createRequire(${entry}), lazyModules = new Map()
const lazyModule = name => {
  let loaded
  const load = () => (loaded ??= requireNow(name))
  // A function, so that a module that is one can be called; its own prototype, since what esbuild makes of a default
  // import inherits from the module's prototype and looks named imports up there.
  const lazy = new Proxy(function () {}, {
    get: (_, key) => load()[key],
    has: (_, key) => key in load(),
    apply: (_, self, words) => Reflect.apply(load(), self, words),
    construct: (_, words) => Reflect.construct(load(), words),
    getPrototypeOf: () => lazy,
  })
  return lazy
}
require = name => {
  if (!name.startsWith('node:')) return requireNow(name)
  if (!lazyModules.has(name)) lazyModules.set(name, lazyModule(name))
  return lazyModules.get(name)
}`
}

function publish(directory, text, inputs) {
  fs.mkdirSync(directory, { recursive: true, mode: 0o755 })
  const program = `${createHash('sha256').update(text).digest('hex').slice(0, 16)}.cjs`
  writeWhole(path.join(directory, program), text)
  writeWhole(path.join(directory, 'current.json'), JSON.stringify({ program, inputs }))
  const programs = fs
    .readdirSync(directory)
    .filter(name => name.endsWith('.cjs'))
    .map(name => ({ file: path.join(directory, name), made: modifiedMs(directory, name) }))
    .toSorted((a, b) => b.made - a.made)
  for (const { file } of programs.slice(keptPrograms)) fs.rmSync(file, { force: true })
}

function modifiedMs(directory, name) {
  return fs.statSync(path.join(directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function writeWhole(file, text) {
  const temporary = `${file}.${process.pid}`
  fs.writeFileSync(temporary, text, { mode: 0o644 })
  fs.renameSync(temporary, file)
}

bundle(process.argv[2]).catch(() => process.exit(1))
