// <image>, the root of a description, and the sections below it that have no table of their own.

import { packages, repository, selectors } from './packages.ts'
import { preferences } from './preferences.ts'
import {
  type AttributeRule,
  type ElementRule,
  many,
  may,
  must,
  once,
  optional,
  some,
  textElement,
} from './rule.ts'
import {
  anyText,
  architectures,
  flag,
  form,
  imageName,
  oneOf,
  profileList,
  someText,
  wholeNumber,
} from './values.ts'

const file: ElementRule = { attributes: { name: must(someText), arch: may(architectures) } }

const description: ElementRule = {
  attributes: {
    type: must(oneOf('a description type', 'system', 'boot'), {
      limit: value =>
        value === 'boot'
          ? 'descriptions of boot images (type="boot") are not supported'
          : undefined,
    }),
  },
  children: {
    author: once(textElement(anyText)),
    contact: some(textElement(anyText)),
    specification: once(textElement(anyText)),
    license: optional(textElement(anyText)),
  },
}

const profile: ElementRule = {
  attributes: {
    name: must(form(/^[^,]*[^,\s][^,]*$/, 'a profile name without a comma')),
    description: must(anyText),
    import: may(flag),
    arch: may(architectures),
  },
  children: {
    requires: many({ attributes: { profile: must(someText), arch: may(architectures) } }),
  },
}

const userName = form(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$/, 'a user name')

const user: ElementRule = {
  attributes: {
    name: must(userName),
    password: must(anyText),
    groups: may(
      form(
        /^\s*[A-Za-z_][\w.-]*\$?(?::[0-9]+)?(?:\s*,\s*[A-Za-z_][\w.-]*\$?(?::[0-9]+)?)*\s*$/,
        'a list of groups such as users:100,sudo',
      ),
    ),
    home: may(form(/^\/[^:\n]*$/, 'an absolute path')),
    id: may(wholeNumber),
    pwdformat: may(oneOf('a password format', 'encrypted', 'plain')),
    realname: may(form(/^[^:\n]*$/, 'a name without ":"')),
    shell: may(form(/^\/[^:\s]*$/, 'an absolute path')),
  },
}

/** Distributions whose way of trusting certificates is known. */
export const certificateDistributions = ['suse', 'redhat', 'debian', 'archlinux'] as const

const certificates: ElementRule = {
  attributes: {
    target_distribution: must(oneOf('a distribution', ...certificateDistributions)),
    profiles: may(profileList),
  },
  children: { certificate: some({ attributes: { name: must(someText) } }) },
}

const containers: ElementRule = {
  attributes: {
    ...selectors,
    source: must(someText),
    backend: must(oneOf('a container engine', 'podman', 'docker', 'container-snap')),
  },
  children: {
    container: some({
      attributes: {
        name: must(someText),
        path: may(someText),
        tag: may(someText),
        fetch_only: may(flag),
        arch: may(architectures),
      },
    }),
  },
  limit: 'container images inside the image (<containers>) are not supported',
}

const namespaceAttributes: Readonly<Record<string, AttributeRule>> = {
  noNamespaceSchemaLocation: may(anyText),
  schemaLocation: may(anyText),
}

export const image: ElementRule = {
  attributes: {
    ...namespaceAttributes,
    name: must(imageName),
    schemaversion: must(someText),
    displayname: may(anyText),
    id: may(form(/^[^\n]+$/, 'one line of text')),
  },
  children: {
    certificates: optional(certificates),
    containers: many(containers),
    description: once(description),
    drivers: many({ attributes: selectors, children: { file: some(file) } }),
    extension: optional({ foreign: true }),
    include: many({ attributes: { from: must(someText) } }),
    packages: many(packages),
    preferences: some(preferences),
    profiles: many({ children: { profile: some(profile) } }),
    repository: many(repository),
    strip: many({
      attributes: { ...selectors, type: must(oneOf('a kind of strip', 'delete', 'tools', 'libs')) },
      children: { file: some(file) },
    }),
    users: many({ attributes: selectors, children: { user: some(user) } }),
  },
}
