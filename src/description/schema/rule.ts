// The shape of the schema tables: for each element its attributes, children with counts and text, each value with its
// form. What kauri cannot do with a valid element or value stands beside it as a limit: it matters only to a build that
// selects it.

/** The form of a value. */
export interface ValueType {
  /** Completes "VALUE is not …". */
  readonly says: string
  /** All words that are taken, where there are only some. */
  readonly words?: readonly string[]
  accepts(text: string): boolean
}

/** Says why kauri cannot honour a value, or undefined where it can. */
export type Limit = (value: string) => string | undefined

export interface AttributeRule {
  readonly type: ValueType
  readonly required?: boolean
  /** For attributes of <type>: the image types that need it. */
  readonly requiredFor?: readonly string[]
  /** For attributes of <type>: the image types it has a meaning for; undefined: all. */
  readonly imageTypes?: readonly string[]
  readonly limit?: Limit
}

export interface TextRule {
  readonly type: ValueType
  readonly limit?: Limit
}

export interface ElementRule {
  readonly attributes?: Readonly<Record<string, AttributeRule>>
  readonly children?: Readonly<Record<string, ChildRule>>
  /** Undefined: the element holds no text. */
  readonly text?: TextRule
  /** Why kauri cannot honour the element at all. */
  readonly limit?: string
  /** One of these attributes must be there. */
  readonly needsOneOf?: readonly string[]
  /** Elements of other namespaces may stand in it; they are not looked at. */
  readonly foreign?: boolean
}

export interface ChildRule {
  readonly element: ElementRule
  readonly min: 0 | 1
  readonly max: number
  /** For children of <type>: the image types it has a meaning for; undefined: all. */
  readonly imageTypes?: readonly string[]
  /** The parent needs one of these attributes for it. */
  readonly needs?: readonly string[]
}

/** Where a child has a meaning. */
type Conditions = Pick<ChildRule, 'imageTypes' | 'needs'>

/** A child that may be missing. */
export function optional(element: ElementRule, conditions: Conditions = {}): ChildRule {
  return { element, min: 0, max: 1, ...conditions }
}

/** A child that must be there once. */
export function once(element: ElementRule): ChildRule {
  return { element, min: 1, max: 1 }
}

/** Any number of children. */
export function many(element: ElementRule, conditions: Conditions = {}): ChildRule {
  return { element, min: 0, max: Infinity, ...conditions }
}

/** One child or more. */
export function some(element: ElementRule): ChildRule {
  return { element, min: 1, max: Infinity }
}

/** An element with nothing but text. */
export function textElement(type: ValueType, limit?: Limit): ElementRule {
  return { text: { type, ...(limit === undefined ? {} : { limit }) } }
}

/** An attribute that may be missing. */
export function may(type: ValueType, more: Omit<AttributeRule, 'type'> = {}): AttributeRule {
  return { type, ...more }
}

/** An attribute that must be there. */
export function must(type: ValueType, more: Omit<AttributeRule, 'type'> = {}): AttributeRule {
  return { type, required: true, ...more }
}

/** A limit for every value but those named. */
export function onlySupports(what: string, ...words: readonly string[]): Limit {
  return value =>
    words.includes(value)
      ? undefined
      : `${what} ${value} is not supported; kauri supports ${words.join(', ')}`
}
