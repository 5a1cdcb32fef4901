import test from 'ava'
import { formatPosition, hasErrno, KauriError, redactCredentials } from '../../src/core/errors.ts'

const texts: readonly (readonly [text: string, shown: string])[] = [
  ['GET http://me:secret@example.org/x failed', 'GET http://me:***@example.org/x failed'],
  ['http://me:p@ss:w@example.org', 'http://me:***@example.org'],
  ['http://:secret@example.org', 'http://:***@example.org'],
  ['two http://a:b@x.org and ftp://c:d@y.org', 'two http://a:***@x.org and ftp://c:***@y.org'],
  ['git+ssh://me:secret@example.org', 'git+ssh://me:***@example.org'],
  ['http://example.org:8080/a@b', 'http://example.org:8080/a@b'],
  ['http://me@example.org/', 'http://me@example.org/'],
  ['user:password@ without a scheme', 'user:password@ without a scheme'],
  ['', ''],
]

for (const [text, shown] of texts)
  test(`'${text}' is shown without its password`, t => t.is(redactCredentials(text), shown))

test('a password in a message is hidden when the error is made', t => {
  const error = new KauriError('DOWNLOAD_FAILED', 'http://me:secret@example.org/x: 404')
  t.is(error.message, 'http://me:***@example.org/x: 404')
  t.false((error.stack ?? '').includes('secret'))
})

test('looking for passwords in a long hostile text takes one pass', t => {
  const text = `${'a.'.repeat(200_000)} ${'http://a:'.repeat(50_000)}`
  const startedMs = performance.now()
  redactCredentials(text)
  t.true(performance.now() - startedMs < 2000)
})

test('an error keeps what it was told', t => {
  const cause = new Error('below')
  const where = { file: 'config.xml', line: 2, column: 3 }
  const error = new KauriError('DESCRIPTION_INVALID', 'broken', { hint: 'mend it', where, cause })
  t.is(error.code, 'DESCRIPTION_INVALID')
  t.is(error.exitStatus, 2)
  t.is(error.hint, 'mend it')
  t.is(error.cause, cause)
  t.is(error.name, 'KauriError')
  t.deepEqual(error.diagnostics, [])
  t.is(formatPosition(error.where ?? where), 'config.xml:2:3')
  t.false('cause' in new KauriError('INTERNAL', 'without cause'))
})

test('operating system errors are known by their code', t => {
  const error = Object.assign(new Error('no such file'), { code: 'ENOENT' })
  t.true(hasErrno(error, 'EACCES', 'ENOENT'))
  t.false(hasErrno(error, 'EACCES'))
  t.false(hasErrno(new Error('ENOENT'), 'ENOENT'))
  t.false(hasErrno({ code: 'ENOENT' }, 'ENOENT'))
})
