import test from 'ava'
import {
  formatStanza,
  parseStanzas,
  relationNames,
  stanzaOf,
} from '../../src/rootfs/dpkg-control.ts'

test('stanzas end at empty lines, fields are found without regard to case', t => {
  const [first, second, ...rest] = parseStanzas('Package: a\nVersion: 1:2\n\n\nPackage: b\n')
  t.is(first?.get('version'), '1:2')
  t.is(second?.get('PACKAGE'), 'b')
  t.deepEqual(rest, [])
})

test('continuation lines belong to their field, comments to nothing', t => {
  const [stanza] = parseStanzas('Description: short\n# not this\n long\n .\n more\nA: b\n')
  t.is(stanza?.get('Description'), 'short\nlong\n.\nmore')
  t.is(stanza?.get('A'), 'b')
})

test('what is no field is skipped', t => {
  t.deepEqual(parseStanzas(' leading\nno colon\n: no name\n'), [])
})

test('a stanza is written as it was read', t => {
  const text = 'Package: a\nConffiles:\n /etc/a newconffile\nDescription: short\n .\n  indented\n'
  const [stanza] = parseStanzas(text)
  t.is(formatStanza(stanza ?? stanzaOf([])), text)
})

const relations: { value: string | undefined; want: string[] }[] = [
  { value: undefined, want: [] },
  { value: 'libc6 (>= 2.34), adduser', want: ['libc6', 'adduser'] },
  { value: 'usrmerge | usr-is-merged, awk:any', want: ['usrmerge', 'usr-is-merged', 'awk'] },
  { value: 'a [amd64] , b<!nocheck>, c(=1)', want: ['a', 'b', 'c'] },
]
for (const { value, want } of relations)
  test(`relation names of ${value}`, t => {
    t.deepEqual(relationNames(value), want)
  })
