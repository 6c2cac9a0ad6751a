"""The rules that choose a seller, or none: small, pure, alike for one decision and for many at once.

A policy is two functions (`interface.Policy`), both over arrays whose last axis is the sellers:

    believe(menu, experience, settings, draw) -> success      the chance of good work each seller is priced with
    choose(menu, priced, experience, settings, draw) -> Pick  a column, or LOCAL = -1; its level; explored or not

`batch.choose` runs them: believe, `pricing.price` (eq. (6) in expectation at every verification level), choose, then
the exploration guard. Afterwards `experience.learn(experience, outcome, settings)` gives the state that the next
decision starts from. Nothing is changed in place; no clock, no entropy: `draw` is a numpy Generator, needed only by
policies that say `draws`, and by none for pricing.

One decision or many: a leading axis of any shape, the same for all arrays.

                           one decision         a batch of R decisions
    menu.price_micro ...   (sellers,)           (R, sellers)
    menu.value_micro ...   float                (R, 1)
    experience.jobs ...    (sellers,)           (R, sellers)          column j of both is the same seller
    pick.seller ...        ()                   (R,)

All policies share one `Experience`, so a node can change its policy without losing what it learnt, and every policy
sees the same world. `registry.policy(name)` finds one by its name.
"""
