import {
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { native } from '../../src/native/native.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const asRoot = testWith({ root: true })

function mountTable(): string {
  return readFileSync('/proc/self/mountinfo', 'utf8')
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}

asRoot('a detached overlay shows its layers, takes changes and is in no mount table', t => {
  using scratch = makeScratch()
  const before = mountTable()
  const names = ['top:layer', 'bottom,layer', 'upper', 'work']
  for (const name of names) mkdirSync(scratch.at(name))
  writeFileSync(scratch.at('top:layer', 'a'), 'top')
  writeFileSync(scratch.at('bottom,layer', 'a'), 'bottom')
  writeFileSync(scratch.at('bottom,layer', 'b'), 'bottom')
  const fd = native().mountOverlayDetached({
    lower: [scratch.at('top:layer'), scratch.at('bottom,layer')],
    upper: scratch.at('upper'),
    work: scratch.at('work'),
    options: ['volatile', 'index=off'],
  })
  const root = `/proc/self/fd/${fd}`
  t.deepEqual(readdirSync(root), ['a', 'b'])
  t.is(readFileSync(`${root}/a`, 'utf8'), 'top')
  writeFileSync(`${root}/c`, 'new')
  rmSync(`${root}/b`)
  t.is(mountTable(), before)
  closeSync(fd)
  t.deepEqual(readdirSync(scratch.at('upper')), ['b', 'c'])
  t.is(native().statFile(scratch.at('upper', 'b')).mode & 0o170000, 0o020000)
})

const stacks = [
  { count: 60, asOldKernels: false },
  { count: 60, asOldKernels: true },
  { count: 500, asOldKernels: false },
  { count: 500, asOldKernels: true },
]

for (const { count, asOldKernels } of stacks)
  asRoot(
    `an overlay stands on ${count} layers with long paths${asOldKernels ? ', as on old kernels' : ''}`,
    t => {
      using scratch = makeScratch()
      const lower = Array.from({ length: count }, (_, index) =>
        scratch.at('x'.repeat(200), 'y'.repeat(200), `${index}`),
      )
      for (const [index, directory] of lower.entries()) {
        mkdirSync(directory, { recursive: true })
        writeFileSync(`${directory}/${index}`, '')
        writeFileSync(`${directory}/same`, `${index}`)
      }
      const before = mountTable()
      const fd = native().mountOverlayDetached(
        { lower, options: ['redirect_dir=off'] },
        asOldKernels,
      )
      t.is(mountTable(), before)
      t.is(readdirSync(`/proc/self/fd/${fd}`).length, count + 1)
      t.is(readFileSync(`/proc/self/fd/${fd}/same`, 'utf8'), '0')
      t.throws(() => writeFileSync(`/proc/self/fd/${fd}/new`, ''), { code: 'EROFS' })
      closeSync(fd)
    },
  )

asRoot('an overlay made as on old kernels takes changes, and its devices do nothing', t => {
  using scratch = makeScratch()
  for (const name of ['a', 'b', 'upper', 'work']) mkdirSync(scratch.at(name))
  writeFileSync(scratch.at('b', 'below'), 'below')
  native().mknod(scratch.at('a', 'zero'), 0o020666, 1, 5)
  const fd = native().mountOverlayDetached(
    {
      lower: [scratch.at('a'), scratch.at('b')],
      upper: scratch.at('upper'),
      work: scratch.at('work'),
      options: ['redirect_dir=off', 'volatile'],
    },
    true,
  )
  const root = `/proc/self/fd/${fd}`
  t.is(readFileSync(`${root}/below`, 'utf8'), 'below')
  writeFileSync(`${root}/new`, '')
  rmSync(`${root}/below`)
  t.throws(() => readFileSync(`${root}/zero`), { code: 'EACCES' })
  closeSync(fd)
  t.deepEqual(readdirSync(scratch.at('upper')), ['below', 'new'])
})

asRoot('an overlay that the kernel refuses leaves no descriptor open', t => {
  using scratch = makeScratch()
  for (const name of ['a', 'b', 'upper', 'work']) mkdirSync(scratch.at(name))
  const lower = [scratch.at('a'), scratch.at('b')]
  const before = openDescriptors()
  for (let round = 0; round < 20; round++) {
    const error = t.throws(() =>
      native().mountOverlayDetached({ lower: [...lower, scratch.at('missing')] }),
    )
    t.like(error, { code: 'ENOENT', path: scratch.at('missing') })
    t.throws(() => native().mountOverlayDetached({ lower, upper: scratch.at('upper') }), {
      code: 'EINVAL',
    })
    t.throws(() => native().mountOverlayDetached({ lower, options: ['no-such-option=1'] }), {
      code: 'EINVAL',
    })
  }
  // Other tests of this process may open or close a few at the same time.
  t.true(openDescriptors() < before + 20)
})

asRoot('a detached clone of a directory sees only that directory and its devices do nothing', t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree'))
  native().mknod(scratch.at('tree', 'null'), 0o020666, 1, 3)
  const before = mountTable()
  const fd = native().cloneTreeDetached(scratch.at('tree'))
  t.deepEqual(readdirSync(`/proc/self/fd/${fd}`), ['null'])
  t.throws(() => readFileSync(`/proc/self/fd/${fd}/null`), { code: 'EACCES' })
  writeFileSync(`/proc/self/fd/${fd}/file`, '')
  t.is(mountTable(), before)
  closeSync(fd)
  t.true(existsSync(scratch.at('tree', 'file')))
})
