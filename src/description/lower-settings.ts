// Image id, keyboard, locale and time zone: the files that systemd and Debian read, written directly, so that nothing
// needs to be installed in the image for it.

import type { SourcePosition } from '../core/errors.ts'
import { type BuildStep, guestPath, type WriteStep } from '../plan/plan.ts'
import type { Description } from './description.ts'
import type { SelectedDescription } from './select-description.ts'

/** /etc/ImageID. */
export function imageIdSteps({ imageId, name }: Description): BuildStep[] {
  return imageId === undefined
    ? []
    : [write('image id', name.where, '/etc/ImageID', `${imageId}\n`)]
}

/** Keyboard, locale and time zone, in KIWI's order. */
export function settingSteps({ settings }: SelectedDescription): BuildStep[] {
  const { keytable, locale, timezone } = settings
  const steps: BuildStep[] = []
  if (keytable !== undefined)
    steps.push(
      write(
        'keyboard',
        keytable.where,
        '/etc/vconsole.conf',
        `KEYMAP=${keymapName(keytable.value)}\n`,
      ),
    )
  if (locale !== undefined) {
    const text = `LANG=${systemLocale(locale.value)}\n`
    for (const file of ['/etc/locale.conf', '/etc/default/locale'])
      steps.push(write(`locale (${file})`, locale.where, file, text))
  }
  if (timezone !== undefined)
    steps.push(
      {
        kind: 'link',
        title: 'time zone (/etc/localtime)',
        where: timezone.where,
        phase: 'config',
        target: guestPath('/etc/localtime'),
        to: `../usr/share/zoneinfo/${timezone.value}`,
      },
      write('time zone (/etc/timezone)', timezone.where, '/etc/timezone', `${timezone.value}\n`),
    )
  return steps
}

function write(title: string, where: SourcePosition, file: string, text: string): WriteStep {
  return {
    kind: 'write',
    title,
    where,
    phase: 'config',
    target: guestPath(file),
    text,
    mode: 0o644,
  }
}

/** `us.map.gz`, as old descriptions have it, is the keymap `us`. */
function keymapName(keytable: string): string {
  return keytable.replace(/\.map(?:\.gz)?$/, '')
}

/** The first of the list; all but `C` and `POSIX` are UTF-8. */
function systemLocale(locales: string): string {
  const first = locales.split(',')[0]?.trim() ?? ''
  return first === 'C' || first === 'POSIX' ? first : `${first}.UTF-8`
}
