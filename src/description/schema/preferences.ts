// <preferences>: version, package manager, locale and the image types.

import { imageTypeElement } from './image-type.ts'
import { selectors } from './packages.ts'
import { type ElementRule, many, onlySupports, optional, textElement } from './rule.ts'
import { anyText, flag, form, locales, packageManager, someText } from './values.ts'

export const preferences: ElementRule = {
  attributes: selectors,
  children: {
    'bootsplash-theme': optional(textElement(someText)),
    'bootloader-theme': optional(textElement(someText)),
    keytable: optional(textElement(form(/^[A-Za-z0-9_.-]+$/, 'a keyboard table such as us'))),
    locale: optional(textElement(locales)),
    packagemanager: optional(
      textElement(packageManager, onlySupports('the package manager', 'apt')),
    ),
    'release-version': optional(textElement(anyText)),
    'rpm-locale-filtering': optional(textElement(flag)),
    'rpm-check-signatures': optional(textElement(flag)),
    'rpm-excludedocs': optional(textElement(flag)),
    showlicense: many(textElement(someText)),
    timezone: optional(
      textElement(
        form(/^[A-Za-z0-9_+-]+(?:\/[A-Za-z0-9_+-]+)*$/, 'a time zone such as Europe/Berlin'),
      ),
    ),
    type: many(imageTypeElement),
    version: optional(textElement(anyText)),
  },
}
