import test from 'ava'
import { describeError } from '../../src/cli/report-error.ts'
import { KauriError } from '../../src/core/errors.ts'

const where = { file: 'config.xml', line: 12, column: 5 }

const cases: readonly { readonly name: string; readonly error: unknown; readonly want: string }[] =
  [
    {
      name: 'message and hint',
      error: new KauriError('NOT_ROOT', 'building needs root', { hint: 'use sudo' }),
      want: 'kauri: building needs root\nhint: use sudo\n',
    },
    {
      name: 'position before the message',
      error: new KauriError('PACKAGE_NOT_FOUND', 'no package named vmi', { where }),
      want: 'kauri: config.xml:12:5: no package named vmi\n',
    },
    {
      name: 'a position that the message has is not repeated',
      error: new KauriError('DESCRIPTION_INVALID', 'config.xml:12:5: broken', { where }),
      want: 'kauri: config.xml:12:5: broken\n',
    },
    {
      name: 'causes, once each, the outer first',
      error: new KauriError('DOWNLOAD_FAILED', 'cannot download x', {
        cause: new Error('fetch failed', { cause: new Error('connect ECONNREFUSED 127.0.0.1:1') }),
      }),
      want: 'kauri: cannot download x\n  because: fetch failed\n  because: connect ECONNREFUSED 127.0.0.1:1\n',
    },
    {
      name: 'a cause that the message quotes is not repeated',
      error: new KauriError('DISK_FULL', 'cannot write x: ENOSPC', { cause: new Error('ENOSPC') }),
      want: 'kauri: cannot write x: ENOSPC\n',
    },
    {
      name: 'an unexpected error says so',
      error: new TypeError('x is not a function'),
      want: 'kauri: unexpected error: x is not a function\nhint: run it again with --debug for the place in the code, and report both\n',
    },
    {
      name: 'what is no error at all',
      error: 'text',
      want: 'kauri: unexpected error: text\nhint: run it again with --debug for the place in the code, and report both\n',
    },
    {
      name: 'control characters of strangers are shown, not obeyed',
      error: new KauriError('ARCHIVE_INVALID', 'entry \u001b[2J\u202egnp.exe'),
      want: 'kauri: entry \\x1b[2J\\u202egnp.exe\n',
    },
    {
      name: 'passwords in causes are hidden',
      error: new KauriError('DOWNLOAD_FAILED', 'no', {
        cause: new Error('http://me:secret@example.org/x'),
      }),
      want: 'kauri: no\n  because: http://me:***@example.org/x\n',
    },
  ]

for (const { name, error, want } of cases) {
  test(`an error is told: ${name}`, t => t.is(describeError(error, false), want))
}

test('diagnostics are shown with the line and a caret below the column', t => {
  const error = new KauriError('DESCRIPTION_INVALID', 'config.xml has 1 error', {
    where,
    diagnostics: [
      {
        severity: 'error',
        rule: 'element-unknown',
        message: 'unknown element <packges>',
        hint: 'did you mean <packages>?',
        where: { file: 'config.xml', line: 3, column: 3 },
        excerpt: '  <packges>',
      },
    ],
  })
  t.is(
    describeError(error, false),
    [
      'kauri: config.xml has 1 error',
      'config.xml:3:3: error: unknown element <packges> [element-unknown]',
      '      <packges>',
      '      ^',
      '    hint: did you mean <packages>?',
      '',
    ].join('\n'),
  )
})

test('--debug adds stacks of the error and its causes', t => {
  const error = new KauriError('DISK_FULL', 'full', { cause: new RangeError('below') })
  const text = describeError(error, true)
  t.regex(text, /\n {4}at .*report-error\.test\.ts/)
  t.regex(text, /\[DISK_FULL\]/)
  t.regex(text, /caused by: RangeError: below/)
})
