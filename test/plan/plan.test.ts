import test from 'ava'
import { guestPath } from '../../src/plan/plan.ts'

const cases: readonly { readonly text: string; readonly path: string }[] = [
  { text: '/etc/passwd', path: '/etc/passwd' },
  { text: 'etc//passwd/', path: '/etc/passwd' },
  { text: '', path: '/' },
  { text: '/../../etc/./x', path: '/etc/x' },
  { text: '/a/b/../../../c', path: '/c' },
  { text: '/.../..x', path: '/.../..x' },
]

for (const { text, path } of cases)
  test(`the guest path of "${text}" is ${path}`, t => t.is(String(guestPath(text)), path))
