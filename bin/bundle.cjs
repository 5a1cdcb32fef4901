'use strict'
// Makes one file of src/cli/main.ts and all that it imports; modules stay lazy in it. `bundle.cjs DIRECTORY` leaves
// there the program and current.json: its name, and size and time of each source, by which kauri.cjs knows it is fresh.

const { build } = require('esbuild')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')

const root = path.dirname(__dirname)
const staleAfterMs = 60 * 60 * 1000

async function bundle(directory) {
  const inputs = []
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['src/cli/main.ts'],
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    target: 'node26',
    packages: 'external',
    // import() would look for packages beside the bundle; the require that is set below looks beside the sources.
    supported: { 'dynamic-import': false },
    logLevel: 'silent',
    plugins: [
      {
        name: 'sources',
        setup: ({ onLoad }) =>
          onLoad({ filter: /\.ts$/ }, ({ path: file }) => {
            // Noted before it is read: a change in between makes the bundle stale, never wrong.
            const { size, mtimeMs } = fs.statSync(file)
            inputs.push([path.relative(root, file), size, mtimeMs])
            return { contents: withPlaces(fs.readFileSync(file, 'utf8'), file), loader: 'ts' }
          }),
      },
    ],
  })
  const [{ contents }] = outputFiles
  publish(directory, contents, inputs)
}

/** CommonJS has no import.meta; what the sources ask of it is where they are. */
function withPlaces(source, file) {
  return source
    .replaceAll('import.meta.dirname', JSON.stringify(path.dirname(file)))
    .replaceAll('import.meta.filename', JSON.stringify(file))
    .replaceAll('import.meta.url', JSON.stringify(`file://${encodeURI(file)}`))
}

function publish(directory, contents, inputs) {
  fs.mkdirSync(directory, { recursive: true, mode: 0o755 })
  const program = `${createHash('sha256').update(contents).digest('hex').slice(0, 16)}.cjs`
  writeWhole(path.join(directory, program), withPackages(contents))
  writeWhole(path.join(directory, 'current.json'), JSON.stringify({ program, inputs }))
  for (const name of fs.readdirSync(directory)) {
    const file = path.join(directory, name)
    const isOld = Date.now() - fs.statSync(file).mtimeMs > staleAfterMs
    if (name !== program && name !== 'current.json' && isOld) fs.rmSync(file, { force: true })
  }
}

/** The bundle lies outside of the checkout; its packages are those of the checkout. */
function withPackages(contents) {
  const text = Buffer.from(contents).toString('utf8')
  const entry = JSON.stringify(path.join(root, 'src/cli/main.ts'))
  return `'use strict';require = require('node:module').createRequire(${entry});\n${text}`
}

function writeWhole(file, contents) {
  const temporary = `${file}.${process.pid}`
  fs.writeFileSync(temporary, contents, { mode: 0o644 })
  fs.renameSync(temporary, file)
}

bundle(process.argv[2]).catch(() => process.exit(1))
