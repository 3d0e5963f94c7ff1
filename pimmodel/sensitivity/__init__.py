"""What moves a result, and how sure it is: derivatives, elasticities, Sobol indices, intervals, Pareto fronts."""
