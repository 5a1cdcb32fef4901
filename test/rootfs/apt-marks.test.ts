import test from 'ava'
import { changeMarks } from '../../src/rootfs/apt-marks.ts'

const mark = (name: string, architecture = 'amd64'): string =>
  `Package: ${name}\nArchitecture: ${architecture}\nAuto-Installed: 1\n\n`

test('marks are added and taken away, sorted, and filed under the native architecture', t => {
  const before = `${mark('z')}${mark('asked')}Package: manual\nArchitecture: amd64\nAuto-Installed: 0\n\n`
  const after = changeMarks(before, {
    automatic: [
      { name: 'm', architecture: 'all' },
      { name: 'lib', architecture: 'i386' },
    ],
    unmarked: ['asked', 'gone'],
    nativeArchitecture: 'amd64',
  })
  t.is(after, `${mark('lib', 'i386')}${mark('m')}${mark('z')}`)
})

test('nothing to change changes nothing', t => {
  const text = `${mark('a')}${mark('b')}`
  t.is(changeMarks(text, { automatic: [], unmarked: [], nativeArchitecture: 'amd64' }), text)
})
