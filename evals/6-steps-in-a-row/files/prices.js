/** The sum of all prices, in cents. */
export function total(prices) {
  return prices.reduce((sum, price) => sum + price, 0);
}

console.log(total([450, 900]));
