import { array, assert, nat, property } from 'fast-check'
import { expect, test } from 'vitest'
import { Bag, type Place } from '../../src/gate/bag.ts'

test('holds what was put in and not taken out, whatever the order', () => {
  assert(
    property(array(nat(40), { maxLength: 200 }), (steps) => {
      const bag = new Bag<number>()
      const model = new Map<number, Place<number>>()
      for (const step of steps) {
        const place = model.get(step)
        if (place) {
          bag.remove(place)
          bag.remove(place)
          model.delete(step)
        } else model.set(step, bag.add(step))
        expect(bag.size).toBe(model.size)
      }
      expect(new Set(bag.things())).toEqual(new Set(model.keys()))
    }),
  )
})
