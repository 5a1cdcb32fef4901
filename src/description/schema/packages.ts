// <repository> and <packages>: where software comes from and what of it goes into the image.

import {
  type AttributeRule,
  type ElementRule,
  many,
  may,
  must,
  once,
  onlySupports,
} from './rule.ts'
import {
  anyText,
  architectures,
  flag,
  form,
  integer,
  oneOf,
  onlyOctal,
  permissions,
  profileList,
  someText,
} from './values.ts'

/** profiles= and arch=, the two selectors of a section. */
export const selectors: Readonly<Record<string, AttributeRule>> = {
  profiles: may(profileList),
  arch: may(architectures),
}

const location = form(/^(?:[a-z][a-z0-9+.-]*:.|\/)/i, 'a URL or an absolute path')

const readableSchemes = ['obsrepositories', 'http', 'https', 'file', 'dir', 'this']

function locationLimit(value: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(value)?.[1]?.toLowerCase()
  return scheme === undefined || readableSchemes.includes(scheme)
    ? undefined
    : `repositories at ${scheme}: are not supported; kauri reads ${readableSchemes.join(', ')} and absolute paths`
}

const signingKey: ElementRule = {
  attributes: { key: must(form(/^(?:file|https?|ftp):/, 'a URL (file:, http:, https: or ftp:)')) },
}

export const repository: ElementRule = {
  attributes: {
    ...selectors,
    type: may(
      oneOf('a repository type', 'apk', 'apt-deb', 'apt-rpm', 'deb-dir', 'mirrors', 'rpm-md'),
      { limit: onlySupports('the repository type', 'apt-deb', 'deb-dir') },
    ),
    // It becomes the name of a file in the image.
    alias: may(form(/^[A-Za-z0-9_.-]+$/, 'an alias (letters, digits, "_", "." and "-")')),
    sourcetype: may(oneOf('a source type', 'baseurl', 'metalink', 'mirrorlist'), {
      limit: onlySupports('the source type', 'baseurl'),
    }),
    components: may(someText),
    distribution: may(someText),
    imageinclude: may(flag),
    imageonly: may(flag),
    repository_gpgcheck: may(flag),
    package_gpgcheck: may(flag),
    customize: may(someText, {
      limit: () => 'scripts that rewrite repository files (customize) are not supported',
    }),
    priority: may(integer),
    username: may(someText),
    password: may(anyText),
    architectures: may(someText),
  },
  children: {
    source: once({
      attributes: { path: must(location, { limit: locationLimit }) },
      children: { signing: many(signingKey) },
    }),
  },
}

const item: ElementRule = { attributes: { name: must(someText), arch: may(architectures) } }

export const packageSectionTypes = [
  'bootstrap',
  'image',
  'delete',
  'uninstall',
  'docker',
  'oci',
  'iso',
  'oem',
  'pxe',
  'kis',
  'systemfiles',
] as const

export const packages: ElementRule = {
  attributes: {
    ...selectors,
    type: must(oneOf('a type of package section', ...packageSectionTypes), {
      limit: value =>
        value === 'systemfiles'
          ? 'package sections of type systemfiles are not supported'
          : undefined,
    }),
    patternType: may(oneOf('a pattern type', 'onlyRequired', 'plusRecommended')),
    bootstrap_package: may(someText, {
      limit: () => 'bootstrapping from a package (bootstrap_package) is not supported',
    }),
  },
  children: {
    archive: many({
      attributes: { name: must(someText), target_dir: may(someText), bootinclude: may(flag) },
    }),
    file: many({
      attributes: {
        name: must(someText),
        target: may(someText),
        owner: may(
          form(
            /^[A-Za-z0-9_.][A-Za-z0-9_.$-]*(?::[A-Za-z0-9_.][A-Za-z0-9_.$-]*)?$/,
            'USER or USER:GROUP',
          ),
        ),
        permissions: may(permissions, { limit: onlyOctal }),
        arch: may(architectures),
      },
    }),
    ignore: many(item),
    namedCollection: many(item),
    collectionModule: many({
      attributes: {
        name: must(someText),
        enable: must(flag),
        stream: may(someText),
        arch: may(architectures),
      },
    }),
    product: many(item),
    package: many({
      attributes: {
        name: must(someText),
        arch: may(architectures),
        bootinclude: may(flag),
        bootdelete: may(flag),
      },
    }),
  },
}
