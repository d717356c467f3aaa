import { box, type Canvas } from './canvas.ts'

const bits = 16

/**
 * The number of this picture, 25 a second, as white and black fields at the lower edge, lowest bit first: whoever measures
 * the delay of a live picture reads in it when the box showed it. Fields are as large as JPEG needs to keep them apart.
 */
export function drawTimeCode(canvas: Canvas, time: number): void {
  const number = Math.round(time * 25)
  for (let bit = 0; bit < bits; bit += 1) {
    const isSet = Math.floor(number / 2 ** bit) % 2 === 1
    canvas.shape(box({ x: bit * 80, y: 704, width: 80, height: 16 }, isSet ? '#fff' : '#000'))
  }
}
